package cli

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
)

func newRegistryCmd(f *Factory) *cobra.Command {
	return newGroupCmd("registry", "Log in to registries, check them, run one", groupDayTwo,
		newRegistryCheckCmd(f, nil), newRegistryLoginCmd(f, nil), newRegistryLogoutCmd(f, nil), newRegistryServeCmd(f, nil))
}

type registryLoginOptions struct {
	Host          string
	User          string
	PasswordStdin bool
}

// registryLogin is what -o json shows of login and logout.
type registryLogin struct {
	header
	*app.Login
}

func newRegistryLoginCmd(f *Factory, runF func(context.Context, *registryLoginOptions) error) *cobra.Command {
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
			if o.Host = args[0]; o.PasswordStdin && o.User == "" {
				return fault.Usagef("--password-stdin needs the user's name").WithHint("name it with -u USER")
			}
			return runner(f, runF, bounded(runRegistryLogin))(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.User, "username", "u", "", "`USER` to log in as")
	cmd.Flags().BoolVar(&o.PasswordStdin, "password-stdin", false, "read the password, or access token, from stdin")
	addRegistryFlags(f, cmd)
	return cmd
}

func runRegistryLogin(ctx context.Context, f *Factory, o *registryLoginOptions) error {
	request := app.LoginRequest{Registry: o.Host, User: o.User}
	if o.PasswordStdin {
		request.Password = func() (string, error) { return readPassword(f.IO.In) }
	}
	login, err := f.App().Login(ctx, request)
	if err != nil {
		return err
	}
	return printLogin(f, "RegistryLogin", login)
}

func printLogin(f *Factory, kind string, login *app.Login) error {
	return f.print(answer{Object: registryLogin{head(kind), login}, Names: []string{login.Registry}, Table: func() error { return nil }})
}

// maxPassword is far above any token's length, and ends the reading of a stream
// that was meant for somebody else.
const maxPassword = 64 << 10

func readPassword(in io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxPassword))
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" {
		return "", fault.Usagef("there is no password on stdin")
	}
	return password, nil
}

type registryLogoutOptions struct {
	Host string
}

func newRegistryLogoutCmd(f *Factory, runF func(context.Context, *registryLogoutOptions) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logout REGISTRY",
		Short: "Forget the credentials for a registry",
		Long: `Logout removes what login keeps, from the file or the credential helper that
login would write to. Everything else in the file stays as it is.`,
		Example:           `  kn-lite registry logout ghcr.io`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeRegistries(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runner(f, runF, runRegistryLogout)(cmd.Context(), &registryLogoutOptions{Host: args[0]})
		},
	}
	addRegistryFlags(f, cmd)
	return cmd
}

func runRegistryLogout(ctx context.Context, f *Factory, o *registryLogoutOptions) error {
	login, err := f.App().Logout(ctx, o.Host)
	if err != nil {
		return err
	}
	return printLogin(f, "RegistryLogout", login)
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
