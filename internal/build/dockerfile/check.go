package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/rootfs"
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
		if strings.Contains(c.Chmod, "$") {
			return nil // its value is known later
		}
		return b.checkMode(c.Location(), c.Chmod)
	case *instructions.CopyCommand:
		if err := b.checkIDs(c.Location(), "--chown=", c.Chown); err != nil {
			return err
		}
		if strings.Contains(c.Chmod, "$") {
			return nil // its value is known later
		}
		return b.checkMode(c.Location(), c.Chmod)
	case *instructions.UserCommand:
		return b.checkIDs(c.Location(), "USER ", c.User)
	case *instructions.OnbuildCommand, *instructions.EnvCommand, *instructions.LabelCommand, *instructions.ArgCommand,
		*instructions.CmdCommand, *instructions.EntrypointCommand, *instructions.ExposeCommand, *instructions.WorkdirCommand, *instructions.VolumeCommand, *instructions.StopSignalCommand,
		*instructions.HealthCheckCommand, *instructions.ShellCommand, *instructions.MaintainerCommand:
		return nil
	}
	return b.at(cmd.Location(), "%s is not supported", strings.ToUpper(cmd.Name()))
}

func (b *builder) checkMode(where []parser.Range, mode string) error {
	if mode == "" {
		return nil
	}
	if _, err := rootfs.ParseMode(mode); err != nil {
		return b.at(where, "--chmod=%s: %w", mode, err)
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
		if m.Type == instructions.MountTypeSSH {
			return b.refuse(c, "--mount=type=ssh", "fetch the sources before the build, or hand over a token: --mount=type=secret")
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
