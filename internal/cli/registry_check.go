package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// registryCheck is what -o json shows.
type registryCheck struct {
	APIVersion  string             `json:"apiVersion"`
	Kind        string             `json:"kind"`
	Registry    string             `json:"registry"`
	Repository  string             `json:"repository,omitempty"`
	URL         string             `json:"url"`
	Mirrors     []string           `json:"mirrors,omitempty"`
	TLS         *registryTLS       `json:"tls,omitempty"`
	Auth        string             `json:"auth"` // none, basic or bearer
	TokenServer string             `json:"tokenServer,omitempty"`
	Sources     []registrySource   `json:"sources"`
	User        string             `json:"user,omitempty"`
	Credentials string             `json:"credentials,omitempty"` // where they were found
	Pull        registryPermission `json:"pull"`
	Push        registryPermission `json:"push"`
}

type registryTLS struct {
	Version   string    `json:"version"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotAfter  time.Time `json:"notAfter"`
	TrustedBy string    `json:"trustedBy"`
}

type registrySource struct {
	Place string `json:"place"`
	Found string `json:"found"`
}

type registryPermission struct {
	Answer string `json:"answer,omitempty"` // yes, no, or "" when nobody asked
	Why    string `json:"why,omitempty"`
}

func newRegistryCheckCmd(f *Factory) *cobra.Command {
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
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runRegistryCheck(ctx, f, args)
		},
	}
	addRegistryFlags(f, cmd)
	return cmd
}

func runRegistryCheck(ctx context.Context, f *Factory, args []string) error {
	host, repository, err := checkedName(f, args)
	if err != nil {
		return err
	}
	client, err := f.Registry()
	if err != nil {
		return err
	}
	check, err := client.Check(ctx, host, repository)
	if err != nil {
		return err
	}
	shown := showCheck(check)
	if err := f.print(answer{Object: shown, Names: []string{host}, Table: func() error { return f.IO.Lines(shown.text()) }}); err != nil {
		return err
	}
	for _, p := range []struct {
		what string
		registry.Permission
	}{{"pull from", check.Pull}, {"push to", check.Push}} {
		if p.Answer == "no" {
			name := strings.TrimSuffix(host+"/"+repository, "/")
			return fault.New(fault.Auth, "registry.check", name, "not permitted to %s it", p.what).
				WithHint("log in with `kn-lite registry login %s`, or ask for the permission", host)
		}
	}
	return nil
}

// checkedName is a registry, or an image and so its repository too.
func checkedName(f *Factory, args []string) (host, repository string, err error) {
	if len(args) == 1 && !strings.Contains(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(args[0], "https://"), "http://"), "/"), "/") {
		host, err = registry.ParseHost(args[0])
		return host, "", err
	}
	var image string
	if len(args) == 1 {
		image = args[0]
	} else {
		project, err := app.FindProject(".")
		if err != nil {
			return "", "", err
		}
		if project == nil {
			return "", "", fault.Usagef("which registry? there is no function in this folder to tell").WithHint("name one: kn-lite registry check REGISTRY")
		}
		if image, err = f.App().ImageTag("", project, f.Flags.Namespace); err != nil {
			return "", "", err
		}
	}
	ref, err := registry.Parse(image)
	return ref.Registry, ref.Repository, err
}

func showCheck(c *registry.Check) registryCheck {
	shown := registryCheck{
		APIVersion: apiVersion, Kind: "RegistryCheck", Registry: c.Host, Repository: c.Repository, URL: c.URL, Mirrors: c.Mirrors,
		Auth: c.Auth, TokenServer: c.TokenFrom, Sources: []registrySource{}, User: c.User, Credentials: c.From,
		Pull: registryPermission(c.Pull), Push: registryPermission(c.Push),
	}
	if t := c.TLS; t != nil {
		tls := registryTLS(*t)
		shown.TLS = &tls
	}
	for _, s := range c.Sources {
		shown.Sources = append(shown.Sources, registrySource(s))
	}
	return shown
}

// text is the table that a person reads.
func (c registryCheck) text() string {
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
		row("asks for", "a token of %s", c.TokenServer)
	default:
		row("asks for", "user and password")
	}
	for _, s := range c.Sources {
		row("looked in", "%s: %s", s.Place, s.Found)
	}
	if c.Credentials != "" {
		row("uses", "%s", strings.TrimSpace("those of "+c.Credentials))
	} else {
		row("uses", "no credentials")
	}
	row("pull", "%s", c.Pull)
	if c.Repository != "" {
		row("push", "%s", c.Push)
	}
	return strings.Join(lines, "\n")
}

func (p registryPermission) String() string {
	if p.Why == "" {
		return p.Answer
	}
	return p.Answer + ": " + p.Why
}
