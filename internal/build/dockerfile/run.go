package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/rootfs"
	"github.com/kn-lite/kn-lite/internal/fault"
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
			Args: args, Env: s.runEnv(b), Dir: path.Join("/", s.config.WorkingDir), User: s.config.User, Isolated: offline,
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
		return b.execute(ctx, r, command)
	}})
}

// keyEnv is the environment as far as a RUN's result depends on it: a proxy is
// how to get something, not what.
func (s *stage) keyEnv(b *builder) []string {
	return slices.DeleteFunc(s.runEnv(b), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		_, declared := s.args[name]
		return isProxy(name) && !declared && lookup(s.config.Env, name) == ""
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
	points := rootfs.PrepareArgs{Dirs: append(mountedFolders(), command.Dir), Loose: b.loose()}
	for _, m := range command.Mounts {
		switch {
		case strings.HasPrefix(m.Target, "/dev/"):
		case m.Content != nil || m.File:
			points.Files = append(points.Files, m.Target)
		default:
			points.Dirs = append(points.Dirs, m.Target)
		}
	}
	var made []string
	if err := b.call(ctx, r, rootfs.GuestPrepare, points, &made, nil, nil); err != nil {
		return err
	}
	r.owed = made
	lines := &lineWriter{write: func(line string) { b.Report.Raw(r.label + line) }}
	call := b.place(r)
	call.Command, call.Out, call.Err = command, lines, lines
	err := b.box.Call(ctx, call)
	lines.flush()
	if exit, ok := errors.AsType[*sandbox.ExitError](err); ok {
		return fault.New(fault.Build, "dockerfile.run", "", "%s: %w", shorten(strings.Join(command.Args, " ")), exit).
			WithHint("%s", fault.HintOf(err))
	}
	return err
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

// mountKey is what a RUN's result depends on of a mount. Caches and secrets are
// no part of it.
func (b *builder) mountKey(ctx context.Context, index int, m *instructions.Mount, where []parser.Range) (string, error) {
	key := digest(string(m.Type), m.From, m.Source, m.Target, m.CacheID)
	if m.Type != instructions.MountTypeBind {
		return key, nil
	}
	if m.From != "" {
		from, err := b.other(ctx, index, m.From, where)
		if err != nil {
			return "", err
		}
		return digest(key, from.key), nil
	}
	files, err := b.contextFiles(ctx)
	if err != nil {
		return "", b.locate(where, err)
	}
	content, err := layer.ContentKey(ctx, files)
	return digest(key, content), err
}

func (b *builder) contextFiles(ctx context.Context) ([]layer.File, error) {
	return b.context.files(ctx, found{name: ".", base: ".", dir: true}, nil)
}

// mount is one --mount of RUN, or nil for a secret that is not there and not required.
func (b *builder) mount(ctx context.Context, s *stage, index int, m *instructions.Mount, where []parser.Range) (*sandbox.Mount, error) {
	out := &sandbox.Mount{Target: m.Target, ReadOnly: m.ReadOnly}
	if out.Target != "" && !path.IsAbs(out.Target) {
		out.Target = path.Join("/", s.config.WorkingDir, out.Target)
	}
	number := func(v *uint64) int {
		if v == nil {
			return 0
		}
		return int(min(*v, 1<<31-1))
	}
	out.UID, out.GID = number(m.UID), number(m.GID)
	switch m.Type {
	case instructions.MountTypeTmpfs:
		out.Mode, out.Size = 0o1777, m.SizeLimit
		return out, nil
	case instructions.MountTypeSecret:
		return b.secret(m, out)
	case instructions.MountTypeCache:
		id := m.CacheID
		if id == "" {
			id = path.Clean(out.Target)
		}
		dir, err := b.cacheFolder(b.tree.Dir() + "\x00" + id)
		out.Source = dir
		if err == nil && (m.UID != nil || m.GID != nil || m.Mode != nil) {
			mode := fs.FileMode(0o755)
			if m.Mode != nil {
				mode = fs.FileMode(*m.Mode)
			}
			err = b.box.Own(ctx, dir, mode, out.UID, out.GID)
		}
		return out, err
	}
	return b.bind(ctx, index, m, out, where)
}

func (b *builder) secret(m *instructions.Mount, out *sandbox.Mount) (*sandbox.Mount, error) {
	id := m.CacheID
	if id == "" {
		id = path.Base(m.Target)
	}
	content, ok := b.Secrets[id]
	if !ok {
		if m.Required {
			return nil, fault.New(fault.Build, "dockerfile.secret", "", "secret %q is required", id).WithHint("hand it over: --secret id=%s,src=FILE", id)
		}
		return nil, nil
	}
	if out.Target == "" {
		out.Target = "/run/secrets/" + id
	}
	out.Content, out.Mode, out.ReadOnly = append([]byte{}, content...), 0o400, true
	if m.Mode != nil {
		out.Mode = fs.FileMode(*m.Mode)
	}
	return out, nil
}

// bind shows a folder of another stage or of the context.
func (b *builder) bind(ctx context.Context, index int, m *instructions.Mount, out *sandbox.Mount, where []parser.Range) (*sandbox.Mount, error) {
	if !m.ReadOnly {
		return nil, fault.New(fault.Build, "dockerfile.mount", "", "--mount=type=bind,rw is not supported: copy what is to be written")
	}
	var from *root
	var err error
	if m.From != "" {
		var other *stage
		if other, err = b.other(ctx, index, m.From, where); err == nil {
			from, err = b.root(ctx, other)
		}
	} else {
		from, err = b.contextRoot(ctx)
	}
	if err != nil {
		return nil, err
	}
	// The links on the way are followed inside of the sandbox, below from.
	if out.Source = from.dir; from.layered {
		out.Overlay = b.overlay(from)
	}
	out.Sub, out.ReadOnly = path.Join("/", m.Source), true
	var sources []rootfs.Source
	if err := b.call(ctx, from, rootfs.GuestMatch, rootfs.MatchArgs{Patterns: []string{out.Sub}}, &sources, nil, nil); err != nil {
		return nil, err
	}
	out.File = len(sources) == 1 && !sources[0].Dir
	return out, nil
}

// contextRoot returns the context as a root, for all mounts of it.
func (b *builder) contextRoot(ctx context.Context) (*root, error) {
	b.sharing.Lock()
	defer b.sharing.Unlock()
	if b.shared != nil {
		return b.shared, nil
	}
	dir, err := b.box.Root()
	if err != nil {
		return nil, err
	}
	files, err := b.contextFiles(ctx)
	if err != nil {
		return nil, err
	}
	r := &root{dir: dir}
	args := rootfs.PutArgs{Dest: "/", Owner: "0:0", Loose: b.loose()}
	err = b.pipe(
		func(w io.Writer) error { return layer.WriteTar(ctx, w, files, b.Epoch) },
		func(in io.Reader) error { return b.call(ctx, r, rootfs.GuestPut, args, nil, in, nil) },
	)
	if err == nil {
		b.shared = r
	}
	return r, err
}
