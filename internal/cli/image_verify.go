package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// verifyAnswer is a verified image as -o json shows it.
type verifyAnswer struct {
	header
	*app.VerifiedImage
}

type verifyOptions struct {
	Image string
	Key   string // file; "" is the settings'
}

func newImageVerifyCmd(f *Factory, runF func(context.Context, *verifyOptions) error) *cobra.Command {
	o := &verifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify REF",
		Short: "Check that an image is signed with a key",
		Long: `Verify checks that the image, or index of images, that REF names now is signed
with the private half of --key: by kn-lite build --sign-key or by cosign sign --key.
The signature has to be for that very digest and for the name without tag that REF
has. The answer on stdout is the reference by the digest that was verified.

It exits with 6 when there is no signature, when none fits the key, and when the one
that does is for another image or another name. Nobody but the registry is asked.`,
		Example: `  # Run what was verified, and nothing else
  docker run "$(kn-lite image verify registry.example/me/hello:v1 --key kn-lite.pub)"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Image = args[0]
			return runner(f, runF, bounded(runImageVerify))(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Key, "key", "", "public key `FILE` (default: $KN_LITE_VERIFY_KEY, then verifyKey in the settings)")
	addRegistryFlags(f, cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.MarkFlagFilename("key", "pub", "pem")
	return cmd
}

func runImageVerify(ctx context.Context, f *Factory, o *verifyOptions) error {
	verified, err := f.App().VerifyImage(ctx, app.VerifyImageRequest{Image: o.Image, Key: o.Key})
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: verifyAnswer{head("VerifiedImage"), verified},
		Names:  []string{verified.Image},
		Table:  func() error { return f.IO.Answer("%s", verified.Image) },
	})
}

// signedFlags say what has to be signed before it is deployed.
type signedFlags struct {
	Required bool
	Key      string

	changed func(flag string) bool
}

func (s *signedFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&s.Required, "require-signed", false, "refuse an image that is not signed with --verify-key (default: $KN_LITE_REQUIRE_SIGNED, then requireSigned in the settings)")
	flags.StringVar(&s.Key, "verify-key", "", "public key `FILE`; named here it implies --require-signed (default: $KN_LITE_VERIFY_KEY, then verifyKey in the settings)")
	s.changed = flags.Changed
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.MarkFlagFilename("verify-key", "pub", "pem")
}

// policy returns what the flags say.
func (s *signedFlags) policy() (app.SignedPolicy, error) {
	p := app.SignedPolicy{Key: s.Key}
	if s.changed("require-signed") {
		if !s.Required && s.Key != "" {
			return p, fault.Usagef("--verify-key %s and --require-signed=false: choose one", s.Key)
		}
		p.Required = &s.Required
	}
	return p, nil
}
