package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
)

// keyAnswer is a new pair of keys as -o json shows it.
type keyAnswer struct {
	header
	*app.KeyPair
}

type keygenOptions struct {
	Name string // of the files, without their endings
}

func newImageKeygenCmd(f *Factory, runF func(context.Context, *keygenOptions) error) *cobra.Command {
	return &cobra.Command{
		Use:   "keygen [NAME]",
		Short: "Make a pair of keys to sign images with",
		Long: `Keygen makes NAME.key (default: kn-lite.key), which signs, and NAME.pub, which
verifies. The private key is for you alone; the public one is for everybody who
is to check what you have signed. Files that are there are never overwritten.

The keys are ECDSA P-256 in PKCS #8 and SubjectPublicKeyInfo, as OpenSSL and cosign
read them. The private key is encrypted with the password in KN_LITE_SIGN_PASSWORD,
or with the one that is asked for at a terminal; without either it is not. The answer
on stdout is the name of the public key's file.`,
		Example: `  kn-lite image keygen
  kn-lite deploy --sign-key kn-lite.key --verify-key kn-lite.pub`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runner(f, runF, runImageKeygen)(cmd.Context(), &keygenOptions{Name: cmp.Or(strings.Join(args, ""), "kn-lite")})
		},
	}
}

func runImageKeygen(ctx context.Context, f *Factory, o *keygenOptions) error {
	pair, err := f.App().NewKeyPair(ctx, o.Name)
	if err != nil {
		return err
	}
	return f.print(answer{
		Object: keyAnswer{head("KeyPair"), pair}, Names: []string{pair.Public},
		Table: func() error { return f.IO.Answer("%s", pair.Public) },
	})
}
