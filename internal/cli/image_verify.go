package cli

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// verifyAnswer is a verified image as -o json shows it.
type verifyAnswer struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Image      string `json:"image"` // REGISTRY/NAME@sha256:…
	Key        string `json:"key"`   // fingerprint of the public key
}

func newImageVerifyCmd(f *Factory) *cobra.Command {
	file := ""
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
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runImageVerify(ctx, f, args[0], file)
		},
	}
	cmd.Flags().StringVar(&file, "key", "", "public key `FILE` (default: $KN_LITE_VERIFY_KEY, then verifyKey in the settings)")
	f.addRegistryFlags(cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.MarkFlagFilename("key", "pub", "pem")
	return cmd
}

func runImageVerify(ctx context.Context, f *Factory, image, file string) error {
	cfg, err := f.Config()
	if err != nil {
		return err
	}
	if file = cmp.Or(file, cfg.VerifyKey); file == "" {
		return fault.Usagef("signed with which key?").WithHint("name its public half: --key FILE, KN_LITE_VERIFY_KEY or verifyKey in the settings")
	}
	key, err := openPublicKey(file)
	if err != nil {
		return err
	}
	ref, err := f.verifySigned(ctx, image, key)
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: verifyAnswer{APIVersion: apiVersion, Kind: "VerifiedImage", Image: ref, Key: key.Fingerprint()},
		Names:  []string{ref},
		Table:  func() error { return f.IO.Answer("%s", ref) },
	})
}

func openPublicKey(file string) (*sign.PublicKey, error) {
	text, err := readKey(file)
	if err != nil {
		return nil, err
	}
	return sign.ParsePublic(file, text)
}

// verifySigned wants image to be signed with key, and returns the reference by
// the digest for which that holds. The registry itself is asked, and not its
// mirrors, as it is for what is deployed.
func (f *Factory) verifySigned(ctx context.Context, image string, key *sign.PublicKey) (string, error) {
	client, err := f.Registry()
	if err != nil {
		return "", err
	}
	pinned, err := client.Digest(ctx, image)
	if err != nil {
		return "", err
	}
	ref, err := registry.Parse(pinned)
	if err != nil {
		return "", err
	}
	found, err := client.Signatures(ctx, pinned)
	if err != nil {
		return "", err
	}
	if err := key.Verify(sign.Statement{Name: ref.Name()}, ref.Digest, found); err != nil {
		return "", err
	}
	f.IO.Step("verified %s: signed with %s", pinned, key.Fingerprint())
	return pinned, nil
}

// checkSigned wants the image of a deploy to be signed with wanted, if that is not
// nil. A dry run pushes nothing, so an image that it has built may have no
// signature yet: it is enough then that the key that would sign it is the right one.
func (f *Factory) checkSigned(ctx context.Context, o *deployOptions, image string, wanted *sign.PublicKey) error {
	if wanted == nil {
		return nil
	}
	_, err := f.verifySigned(ctx, image, wanted)
	if err == nil || o.DryRun == "" || o.Image != "" {
		return err
	}
	if keyErr := f.openSignKey(ctx, &o.Attest); keyErr != nil {
		return keyErr
	}
	if o.Attest.key != nil && o.Attest.key.Public().Fingerprint() == wanted.Fingerprint() {
		f.IO.Note("not signed yet: a deploy signs it with %s", wanted.Fingerprint())
		return nil
	}
	return fault.New(fault.Conflict, "sign.verify", image, "a deploy would be refused: %w", sign.ErrUnsigned).
		WithHint("sign what is deployed, with the private half of %s: --sign-key KEY", wanted.Fingerprint())
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

// requiredKey is the key that images have to be signed with; nil when they need not be.
func (f *Factory) requiredKey(s *signedFlags) (*sign.PublicKey, error) {
	cfg, err := f.Config()
	if err != nil {
		return nil, err
	}
	required := cfg.RequireSigned
	if s.changed("require-signed") {
		required = s.Required
		if !required && s.Key != "" {
			return nil, fault.Usagef("--verify-key %s and --require-signed=false: choose one", s.Key)
		}
	}
	if !required && s.Key == "" {
		return nil, nil
	}
	file := cmp.Or(s.Key, cfg.VerifyKey)
	if file == "" {
		return nil, fault.Usagef("an image has to be signed, and with which key is not said").
			WithHint("name its public half: --verify-key FILE, KN_LITE_VERIFY_KEY or verifyKey in the settings")
	}
	return openPublicKey(file)
}
