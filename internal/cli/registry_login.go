package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/term"
)

func newRegistryCmd(f *Factory) *cobra.Command {
	return newGroupCmd("registry", "Log in to registries, check them, run one", groupDayTwo,
		newRegistryCheckCmd(f), newRegistryLoginCmd(f), newRegistryLogoutCmd(f), newRegistryServeCmd(f))
}

type registryLoginOptions struct {
	Host          string
	User          string
	PasswordStdin bool
}

// registryLogin is what -o json shows of login and logout.
type registryLogin struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Registry   string `json:"registry"`
	User       string `json:"user,omitempty"`
	Kept       string `json:"kept,omitempty"` // file or helper that has the credentials
}

func newRegistryLoginCmd(f *Factory) *cobra.Command {
	o := &registryLoginOptions{}
	cmd := &cobra.Command{
		Use:   "login REGISTRY",
		Short: "Check credentials for a registry and keep them",
		Long: `Login asks the registry whether it accepts a user and a password, and keeps them
where docker login would: with the credential helper that docker's config.json
names, else in that file itself. docker, podman, ko and skopeo find them there.

The file is --authfile, $KN_LITE_AUTHFILE, $REGISTRY_AUTH_FILE or
$DOCKER_CONFIG/config.json, the first of them that is set; else
~/.docker/config.json. A password that is refused is not kept.`,
		Example: `  # Asks for user and password
  kn-lite registry login ghcr.io

  # In a pipeline; the password is on no command line
  printf %s "$TOKEN" | kn-lite registry login ghcr.io -u ada --password-stdin`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRegistries(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Host = args[0]
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runRegistryLogin(ctx, f, o)
		},
	}
	cmd.Flags().StringVarP(&o.User, "username", "u", "", "`USER` to log in as")
	cmd.Flags().BoolVar(&o.PasswordStdin, "password-stdin", false, "read the password, or access token, from stdin")
	addRegistryFlags(f, cmd)
	return cmd
}

func runRegistryLogin(ctx context.Context, f *Factory, o *registryLoginOptions) error {
	host, err := registry.ParseHost(o.Host)
	if err != nil {
		return err
	}
	client, err := f.Registry()
	if err != nil {
		return err
	}
	password, err := loginSecret(ctx, f.IO, o)
	if err != nil {
		return err
	}
	kept, err := client.Login(ctx, host, o.User, password)
	if err != nil {
		return err
	}
	f.IO.Step("logged in to %s as %s; the credentials are in %s", host, o.User, kept)
	return f.print(answer{
		Object: registryLogin{APIVersion: apiVersion, Kind: "RegistryLogin", Registry: host, User: o.User, Kept: kept},
		Names:  []string{host},
		Table:  func() error { return nil },
	})
}

// maxPassword is far above any token's length, and ends the reading of a stream
// that was meant for somebody else.
const maxPassword = 64 << 10

// loginSecret completes user and password, from stdin or by asking.
func loginSecret(ctx context.Context, streams *term.IO, o *registryLoginOptions) (string, error) {
	switch {
	case o.PasswordStdin && o.User == "":
		return "", fault.Usagef("--password-stdin needs the user's name").WithHint("name it with -u USER")
	case o.PasswordStdin:
		raw, err := io.ReadAll(io.LimitReader(streams.In, maxPassword))
		if err != nil {
			return "", err
		}
		if password := strings.TrimRight(string(raw), "\r\n"); password != "" {
			return password, nil
		}
		return "", fault.Usagef("there is no password on stdin")
	case !streams.CanPrompt():
		return "", fault.Usagef("there is nobody to ask for a password").
			WithHint(`give both: printf %%s "$TOKEN" | kn-lite registry login %s -u USER --password-stdin`, o.Host)
	}
	if o.User == "" {
		user, err := streams.Ask(ctx, "User: ")
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil || user == "" {
			return "", errors.Join(fault.Usagef("a login needs a user's name"), err)
		}
		o.User = user
	}
	password, err := streams.Secret(ctx, "Password or access token: ")
	if err == nil && password == "" {
		err = fault.Usagef("a login needs a password")
	}
	return password, err
}

func newRegistryLogoutCmd(f *Factory) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logout REGISTRY",
		Short: "Forget the credentials for a registry",
		Long: `Logout removes what login keeps, from the file or the credential helper that
login would write to. Everything else in the file stays as it is.`,
		Example:           `  kn-lite registry logout ghcr.io`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRegistries(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRegistryLogout(cmd.Context(), f, args[0])
		},
	}
	addRegistryFlags(f, cmd)
	return cmd
}

func runRegistryLogout(ctx context.Context, f *Factory, name string) error {
	host, err := registry.ParseHost(name)
	if err != nil {
		return err
	}
	client, err := f.Registry()
	if err != nil {
		return err
	}
	from, found, err := client.Logout(ctx, host)
	if err != nil {
		return err
	}
	if found {
		f.IO.Step("removed the credentials for %s from %s", host, from)
	} else {
		f.IO.Note("there are no credentials for %s in %s", host, from)
	}
	return f.print(answer{
		Object: registryLogin{APIVersion: apiVersion, Kind: "RegistryLogout", Registry: host},
		Names:  []string{host},
		Table:  func() error { return nil },
	})
}

// completeRegistries offers the registries that there are credentials for.
func completeRegistries(f *Factory) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		client, err := f.Registry()
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return client.Hosts(), cobra.ShellCompDirectiveNoFileComp
	}
}
