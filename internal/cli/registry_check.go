package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// registryCheck is what -o json shows.
type registryCheck struct {
	header
	*registry.Check
}

type registryCheckOptions struct {
	Name string // of a registry or an image; "" is the folder's
}

func newRegistryCheckCmd(f *Factory, runF func(context.Context, *registryCheckOptions) error) *cobra.Command {
	o := &registryCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check [REGISTRY | IMAGE]",
		Short: "Tell how a registry is reached, and what it lets you do",
		Long: `Check asks a registry for what a pull and a push will need, and tells how it went:
how it is spoken to, which certificate was trusted and by whom, each place where
credentials were looked for, whose were used, and whether they may pull from and
push to the image's repository. It leaves nothing behind: an upload is begun and
given up.

Without an argument it is the image of the function in this folder. Exits with 4
when the registry refuses what was asked.`,
		Example: `  # Will kn-lite deploy be able to push from here?
  kn-lite registry check

  # One repository, with the authority of a company
  kn-lite registry check registry.corp/team/hello --registry-ca corp.pem`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRegistries(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = strings.Join(args, "")
			return runner(f, runF, bounded(runRegistryCheck))(cmd.Context(), o)
		},
	}
	addRegistryFlags(f, cmd)
	return cmd
}

func runRegistryCheck(ctx context.Context, f *Factory, o *registryCheckOptions) error {
	check, err := f.App().CheckRegistry(ctx, app.CheckRegistryRequest{Name: o.Name, Namespace: f.Flags.Namespace})
	if err != nil {
		return err
	}
	err = f.print(answer{
		Object: registryCheck{head("RegistryCheck"), check}, Names: []string{check.Host},
		Table: func() error { return f.IO.Lines(checkText(check)) },
	})
	if err != nil {
		return err
	}
	return check.Refused()
}

// checkText is the table that a person reads.
func checkText(c *registry.Check) string {
	var lines []string
	row := func(name, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-12s %s", name, fmt.Sprintf(format, args...)))
	}
	row("registry", "%s", c.URL)
	if c.Repository != "" {
		row("repository", "%s", c.Repository)
	}
	for _, mirror := range c.Mirrors {
		row("mirror", "%s is asked before it", mirror)
	}
	if c.TLS != nil {
		row("certificate", "%s, until %s, %s", c.TLS.Subject, c.TLS.NotAfter.Format(time.DateOnly), c.TLS.Version)
		row("trusted by", "%s (%s)", c.TLS.TrustedBy, c.TLS.Issuer)
	} else {
		row("certificate", "none: plain HTTP")
	}
	switch c.Auth {
	case "none":
		row("asks for", "no credentials")
	case "bearer":
		row("asks for", "a token of %s", c.TokenFrom)
	default:
		row("asks for", "user and password")
	}
	for _, s := range c.Sources {
		row("looked in", "%s: %s", s.Place, s.Found)
	}
	if c.From != "" {
		row("uses", "%s", strings.TrimSpace("those of "+c.From))
	} else {
		row("uses", "no credentials")
	}
	row("pull", "%s", c.Pull)
	if c.Repository != "" {
		row("push", "%s", c.Push)
	}
	return strings.Join(lines, "\n")
}
