package dockerfile

import (
	"context"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/kn-lite/kn-lite/internal/rootfs"
)

// dispatch carries out one instruction.
func (b *builder) dispatch(ctx context.Context, s *stage, index int, cmd instructions.Command, where []parser.Range) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c, ok := cmd.(*instructions.ArgCommand); ok {
		b.plan.lint.command(s, cmd, where)
		return b.arg(s, c, where)
	}
	if c, ok := cmd.(instructions.SupportsSingleWordExpansion); ok {
		env := s.env()
		if err := c.Expand(func(word string) (string, error) { return b.word(word, env, where) }); err != nil {
			return b.at(where, "%s: %w", strings.ToUpper(cmd.Name()), err)
		}
	}
	if c, ok := cmd.(instructions.SupportsSingleWordExpansionRaw); ok {
		// Quotes in a here-document are text.
		lex := shell.NewLex('\\')
		lex.SkipProcessQuotes = true
		env := variables(s.env())
		err := c.ExpandRaw(func(word string) (string, error) {
			out, _, err := lex.ProcessWord(word, env)
			return out, err
		})
		if err != nil {
			return b.at(where, "%s: %w", strings.ToUpper(cmd.Name()), err)
		}
	}
	b.plan.lint.command(s, cmd, where)
	switch c := cmd.(type) {
	case *instructions.RunCommand:
		return b.run(ctx, s, index, c, where)
	case *instructions.CopyCommand:
		return b.copy(ctx, s, index, &copying{
			SourcesAndDest: c.SourcesAndDest, name: "COPY", from: c.From, chown: c.Chown, chmod: c.Chmod,
			exclude: c.ExcludePatterns, link: c.Link, where: where, text: oneLine(cmd),
		})
	case *instructions.AddCommand:
		return b.copy(ctx, s, index, &copying{
			SourcesAndDest: c.SourcesAndDest, name: "ADD", chown: c.Chown, chmod: c.Chmod,
			exclude: c.ExcludePatterns, unpack: !b.plan.packed[c], link: c.Link, where: where, text: oneLine(cmd),
		})
	case *instructions.WorkdirCommand:
		return b.workdir(ctx, s, c, where)
	}
	if c, ok := cmd.(*instructions.ExposeCommand); ok {
		var err error
		if c.Ports, err = b.ports(s, c.Ports, where); err != nil {
			return b.at(where, "EXPOSE: %w", err)
		}
	}
	if c, ok := cmd.(*instructions.StopSignalCommand); ok && !isSignal(c.Signal) {
		return b.at(where, "STOPSIGNAL %s: there is no such signal", c.Signal).WithHint("it is a name or a number, such as SIGTERM or 15")
	}
	s.configure(cmd)
	s.history = append(s.history, v1.History{Created: b.created(), CreatedBy: oneLine(cmd), EmptyLayer: true})
	return nil
}

// word expands a word of an instruction.
func (b *builder) word(text string, env map[string]string, where []parser.Range) (string, error) {
	out, undefined, err := shell.NewLex(b.plan.escape).ProcessWord(text, variables(env))
	b.plan.lint.undefined(undefined, env, where)
	return out, err
}

// oneLine is the instruction as history and messages show it.
func oneLine(cmd instructions.Command) string {
	if text, ok := cmd.(interface{ String() string }); ok {
		return strings.TrimSpace(text.String())
	}
	return strings.ToUpper(cmd.Name())
}

// configure is for the instructions that change the image's configuration only.
func (s *stage) configure(cmd instructions.Command) {
	switch c := cmd.(type) {
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			s.config.Env = setEnv(s.config.Env, kv.Key, kv.Value)
			s.vars = setEnv(s.vars, kv.Key, kv.Value)
		}
	case *instructions.LabelCommand:
		if s.config.Labels == nil {
			s.config.Labels = map[string]string{}
		}
		for _, kv := range c.Labels {
			s.config.Labels[kv.Key] = kv.Value
		}
	case *instructions.CmdCommand:
		s.config.Cmd, s.hasCmd = s.shellForm(c.ShellDependantCmdLine), true
	case *instructions.EntrypointCommand:
		s.config.Entrypoint = s.shellForm(c.ShellDependantCmdLine)
		// The base's CMD was meant for the base's ENTRYPOINT.
		if !s.hasCmd {
			s.config.Cmd = nil
		}
	case *instructions.ExposeCommand:
		s.config.ExposedPorts = addTo(s.config.ExposedPorts, c.Ports, strings.ToLower)
	case *instructions.VolumeCommand:
		s.config.Volumes = addTo(s.config.Volumes, c.Volumes, strings.TrimSpace)
	case *instructions.UserCommand:
		s.config.User = c.User
	case *instructions.StopSignalCommand:
		s.config.StopSignal = c.Signal
	case *instructions.ShellCommand:
		s.config.Shell = c.Shell
	case *instructions.OnbuildCommand:
		s.config.OnBuild = append(s.config.OnBuild, c.Expression)
	case *instructions.MaintainerCommand:
		s.author = c.Maintainer
	case *instructions.HealthCheckCommand:
		h := c.Health
		s.startInterval = h.StartInterval
		s.config.Healthcheck = &v1.HealthConfig{
			Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries,
		}
	}
}

func setEnv(env []string, name, value string) []string {
	at := slices.IndexFunc(env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	if at < 0 {
		return append(slices.Clone(env), name+"="+value)
	}
	env = slices.Clone(env)
	env[at] = name + "=" + value
	return env
}

func addTo(set map[string]struct{}, names []string, spell func(string) string) map[string]struct{} {
	if set == nil {
		set = map[string]struct{}{}
	}
	for _, name := range names {
		set[spell(name)] = struct{}{}
	}
	return set
}

func (s *stage) shell() []string {
	if len(s.config.Shell) > 0 {
		return s.config.Shell
	}
	return []string{"/bin/sh", "-c"}
}

func (s *stage) shellForm(c instructions.ShellDependantCmdLine) []string {
	if !c.PrependShell {
		return c.CmdLine
	}
	return append(slices.Clone(s.shell()), strings.Join(c.CmdLine, " "))
}

// arg declares ARGs: the value given on the command line, else the default, else
// that of the same ARG before the first FROM. One ARG can use those before it.
func (b *builder) arg(s *stage, c *instructions.ArgCommand, where []parser.Range) error {
	for i, arg := range c.Args {
		b.plan.used[arg.Key] = true
		value, known := b.Args[arg.Key]
		if !known && arg.Value != nil {
			var err error
			if value, err = b.word(*arg.Value, s.env(), where); err != nil {
				return b.at(where, "ARG %s: %w", arg.Key, err)
			}
			c.Args[i].Value, known = &value, true
		}
		if !known {
			value, known = b.plan.global[arg.Key]
		}
		if known {
			s.vars, s.args[arg.Key] = setEnv(s.vars, arg.Key, value), true
		}
	}
	s.history = append(s.history, v1.History{Created: b.created(), CreatedBy: oneLine(c), EmptyLayer: true})
	return nil
}

// workdir sets the working folder and makes it, which may be a layer. It is the
// user's, and written as the Dockerfile has it: with a slash at its end, too.
func (b *builder) workdir(ctx context.Context, s *stage, c *instructions.WorkdirCommand, where []parser.Range) error {
	switch {
	case path.IsAbs(c.Path):
		s.config.WorkingDir = c.Path
	case c.Path != "" || !path.IsAbs(s.config.WorkingDir): // no path leaves it where it is
		s.config.WorkingDir = path.Join("/", s.config.WorkingDir, c.Path)
	}
	dir, user, nothing := path.Clean(s.config.WorkingDir), s.config.User, s.isEmpty()
	return b.change(ctx, s, change{
		where: where, text: oneLine(c), key: digest("workdir", dir, user), quiet: true,
		do: func(r *root) error {
			var done rootfs.Prepared
			return b.finish(ctx, r, lastCall{
				guest: rootfs.GuestPrepare, args: rootfs.PrepareArgs{Dirs: []string{dir}, Owner: user, SingleUser: b.singleUser()}, reply: &done,
				after: func() error { return b.unknown(done.Unknown, nothing, where) },
			})
		},
	})
}

func (b *builder) created() v1.Time { return v1.Time{Time: b.Epoch.UTC()} }
