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
	// The mounts are read when they are expanded. What a variable is in is checked
	// when its value is known.
	variable := false
	err := c.Expand(func(word string) (string, error) {
		variable = variable || strings.Contains(word, "$")
		return word, nil
	})
	switch {
	case err != nil && !variable:
		return b.at(c.Location(), "RUN: %w", err)
	case err == nil:
		if err := b.checkMounts(c); err != nil {
			return err
		}
	}
	for _, flag := range c.FlagsUsed {
		if flag != "mount" && flag != "network" {
			return b.refuse(c, "--"+flag, "remove the flag")
		}
	}
	if network := instructions.GetNetwork(c); network == instructions.NetworkHost {
		return b.refuse(c, "--network=host", "a build shares the host's network without it")
	}
	return nil
}

func (b *builder) refuse(c *instructions.RunCommand, what, hint string) error {
	return b.at(c.Location(), "RUN %s is not supported", what).WithHint("%s", hint)
}

// checkMounts refuses mounts that are not supported.
func (b *builder) checkMounts(c *instructions.RunCommand) error {
	for _, m := range instructions.GetMounts(c) {
		switch m.Type {
		case instructions.MountTypeSSH:
			return b.refuse(c, "--mount=type=ssh", "fetch the sources before the build, or hand over a token: --mount=type=secret")
		case instructions.MountTypeSecret:
			if m.Env != nil {
				return b.refuse(c, "--mount=type=secret with env=", "read the secret from its file: /run/secrets/ID")
			}
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
