package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// check refuses what is not supported, before anything is run.
func (b *builder) check(cmd instructions.Command) error {
	switch c := cmd.(type) {
	case *instructions.RunCommand:
		return b.checkRun(c)
	case *instructions.AddCommand:
		for _, source := range c.SourcePaths {
			if isRemote(source) {
				return b.at(c.Location(), "ADD %s: fetching from the network is not supported", source).
					WithHint("fetch and check it in a RUN, for example: RUN curl -fsSLo FILE URL && echo \"SHA256  FILE\" | sha256sum -c")
			}
		}
		switch {
		case c.Checksum != "":
			return b.at(c.Location(), "ADD --checksum is for files from the network, which is not supported")
		case c.KeepGitDir:
			return b.at(c.Location(), "ADD --keep-git-dir is for repositories from the network, which is not supported")
		}
		if err := b.checkIDs(c.Location(), "--chown=", c.Chown); err != nil {
			return err
		}
		_, err := chmod(c.Chmod)
		return b.checkMode(cmd, c.Chmod, err)
	case *instructions.CopyCommand:
		if err := b.checkIDs(c.Location(), "--chown=", c.Chown); err != nil {
			return err
		}
		_, err := chmod(c.Chmod)
		return b.checkMode(cmd, c.Chmod, err)
	case *instructions.UserCommand:
		return b.checkIDs(c.Location(), "USER ", c.User)
	case *instructions.OnbuildCommand, *instructions.EnvCommand, *instructions.LabelCommand, *instructions.ArgCommand,
		*instructions.CmdCommand, *instructions.EntrypointCommand, *instructions.ExposeCommand, *instructions.WorkdirCommand, *instructions.VolumeCommand, *instructions.StopSignalCommand,
		*instructions.HealthCheckCommand, *instructions.ShellCommand, *instructions.MaintainerCommand:
		return nil
	}
	return b.at(cmd.Location(), "%s is not supported", strings.ToUpper(cmd.Name()))
}

func (b *builder) checkMode(cmd instructions.Command, mode string, err error) error {
	if err != nil && !strings.Contains(mode, "$") {
		return b.at(cmd.Location(), "--chmod=%s: %w", mode, err)
	}
	return nil
}

func (b *builder) checkRun(c *instructions.RunCommand) error {
	// The mounts are read when they are expanded.
	if err := c.Expand(func(word string) (string, error) { return word, nil }); err != nil {
		return b.at(c.Location(), "RUN: %w", err)
	}
	refuse := func(what, hint string) error {
		e := b.at(c.Location(), "RUN %s is not supported", what)
		return e.WithHint("%s", hint)
	}
	for _, flag := range c.FlagsUsed {
		switch flag {
		case "mount", "network":
		default:
			return refuse("--"+flag, "remove the flag")
		}
	}
	if network := instructions.GetNetwork(c); network == instructions.NetworkHost {
		return refuse("--network=host", "a build shares the host's network without it")
	}
	for _, m := range instructions.GetMounts(c) {
		switch m.Type {
		case instructions.MountTypeSSH:
			return refuse("--mount=type=ssh", "fetch the sources before the build, or hand over a token: --mount=type=secret")
		case instructions.MountTypeSecret:
			if m.Env != nil {
				return refuse("--mount=type=secret with env=", "read the secret from its file: /run/secrets/ID")
			}
		case instructions.MountTypeBind, instructions.MountTypeCache, instructions.MountTypeTmpfs:
		default:
			return refuse("--mount=type="+string(m.Type), "")
		}
	}
	return nil
}

func isRemote(source string) bool {
	for _, prefix := range []string{"http://", "https://", "git://", "ssh://", "git@", "github.com/"} {
		if strings.HasPrefix(source, prefix) {
			return true
		}
	}
	return false
}

func isProxy(name string) bool {
	switch strings.ToUpper(name) {
	case "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY":
		return true
	}
	return false
}
