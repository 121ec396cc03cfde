package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// scriptFolder is where a here-document with a #! line is put; it is a folder of
// the sandbox's own /dev.
const scriptFolder = "/dev/pipes"

func (b *builder) run(ctx context.Context, s *stage, index int, c *instructions.RunCommand, where []parser.Range) error {
	args, script, err := commandLine(s, c)
	if err != nil {
		return b.at(where, "RUN: %w", err)
	}
	if err := b.checkMounts(c); err != nil {
		return err
	}
	mounts := instructions.GetMounts(c)
	offline := b.Offline || instructions.GetNetwork(c) == instructions.NetworkNone
	keys := slices.Concat([]string{"RUN", s.config.User, s.config.WorkingDir, strconv.FormatBool(offline)}, args, s.keyEnv(b), []string{"mounts"})
	if script != nil {
		keys = append(keys, string(script.Content))
	}
	for _, m := range mounts {
		key, err := b.mountKey(ctx, index, m, where)
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	return b.change(ctx, s, change{where: where, text: runText(c), key: digest(keys...), do: func(r *root) error {
		if b.Platform.Architecture != hostPlatform().Architecture {
			b.Report.Warn(fmt.Sprintf("RUN for %s on this machine needs an emulator (binfmt_misc)", b.Platform))
		}
		command := &sandbox.Command{
			Args: args, Env: append(s.runEnv(b), b.secretEnv(mounts)...), Dir: path.Join("/", s.config.WorkingDir), User: s.config.User, Isolated: offline,
		}
		if command.Mounts, err = b.networkFiles(offline); err != nil {
			return err
		}
		if script != nil {
			command.Mounts = append(command.Mounts, *script)
		}
		defer b.lockCaches(mounts)()
		for _, m := range mounts {
			mount, err := b.mount(ctx, s, index, m, where)
			if err != nil {
				return err
			}
			if mount != nil {
				command.Mounts = append(command.Mounts, *mount)
			}
		}
		// A folder is mounted before what is below it, in whatever order they are named.
		slices.SortStableFunc(command.Mounts, func(a, b sandbox.Mount) int { return strings.Count(a.Target, "/") - strings.Count(b.Target, "/") })
		return b.execute(ctx, r, command)
	}})
}

// keyEnv is the environment as far as a RUN's result depends on it: a proxy is
// how to get something, not what.
func (s *stage) keyEnv(b *builder) []string {
	return slices.DeleteFunc(s.runEnv(b), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return isProxy(name) && !s.args[name] && !has(s.config.Env, name)
	})
}

func runText(c *instructions.RunCommand) string {
	return "RUN " + strings.Join(append(flagTexts(c), strings.Join(c.CmdLine, " ")), " ")
}

func flagTexts(c *instructions.RunCommand) []string {
	var out []string
	for _, m := range instructions.GetMounts(c) {
		out = append(out, "--mount=type="+string(m.Type))
	}
	return out
}

// commandLine is what RUN runs. A here-document is the command itself, or, with a
// #! line, a script; more than one is left to the shell.
func commandLine(s *stage, c *instructions.RunCommand) ([]string, *sandbox.Mount, error) {
	if len(c.Files) == 0 {
		args := s.shellForm(c.ShellDependantCmdLine)
		if len(args) == 0 || args[0] == "" {
			return nil, nil, errors.New("there is no command")
		}
		return args, nil, nil
	}
	if len(c.CmdLine) != 1 || !c.PrependShell {
		return nil, nil, errors.New("a here-document needs the shell form")
	}
	line := c.CmdLine[0]
	if doc, err := parser.ParseHeredoc(line); err == nil && doc != nil {
		data := c.Files[0].Data
		if c.Files[0].Chomp {
			data = parser.ChompHeredocContent(data)
		}
		if strings.HasPrefix(data, "#!") {
			at := path.Join(scriptFolder, path.Base(path.Clean("/"+c.Files[0].Name)))
			script := &sandbox.Mount{Target: at, Content: []byte(data), Mode: 0o755, ReadOnly: true}
			return append(slices.Clone(s.shell()), at), script, nil
		}
		return append(slices.Clone(s.shell()), data), nil, nil
	}
	for _, f := range c.Files {
		line += "\n" + f.Data + f.Name
	}
	return append(slices.Clone(s.shell()), line), nil, nil
}

// execute runs the command with its output on the report.
func (b *builder) execute(ctx context.Context, r *root, command *sandbox.Command) error {
	points := rootfs.PrepareArgs{
		Work: command.Dir, WorkOwner: runOwner(command.User), Dirs: mountedFolders(), SingleUser: b.singleUser(),
	}
	for _, m := range command.Mounts {
		switch {
		case strings.HasPrefix(m.Target, "/dev/"):
		case m.Content != nil || m.File:
			points.Files = append(points.Files, m.Target)
		default:
			points.Dirs = append(points.Dirs, m.Target)
		}
	}
	lines := &lineWriter{write: func(line string) { b.Report.Output(r.label + line) }}
	call := b.place(r)
	call.Command, call.Out, call.Err = command, lines, lines
	var prepared rootfs.Prepared
	call.Guest, call.Args, call.Reply = rootfs.GuestPrepare, points, &prepared
	err := b.box.Call(ctx, call)
	r.pendingMounts = prepared.Made
	lines.flush()
	if exit, ok := errors.AsType[*sandbox.ExitError](err); ok {
		return fault.New(fault.Build, "dockerfile.run", "", "%s: %w", shorten(strings.Join(command.Args, " ")), exit).
			WithHint("%s", fault.HintOf(err))
	}
	return err
}

// runOwner is who a program of a USER runs as: a number alone is in root's group.
func runOwner(user string) string {
	if user != "" && strings.Trim(user, "0123456789") == "" {
		return user + ":0"
	}
	return user
}

func shorten(text string) string {
	text, _, more := strings.Cut(text, "\n")
	if len(text) > 120 {
		text, more = text[:120], true
	}
	if more {
		text += " …"
	}
	return text
}

// networkFiles are the files without which names have no addresses.
func (b *builder) networkFiles(offline bool) ([]sandbox.Mount, error) {
	out := []sandbox.Mount{}
	for _, name := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		content := []byte("127.0.0.1 localhost\n::1 localhost\n")
		if !offline {
			read, err := b.HostFile(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			content = append(read, '\n')
		}
		out = append(out, sandbox.Mount{Target: name, Content: content, Mode: 0o644, ReadOnly: true})
	}
	return out, nil
}
