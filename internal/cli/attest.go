package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// attestFlags say what goes with an image.
type attestFlags struct {
	SBOM       bool
	Provenance bool
	SignKey    string

	key     *sign.PrivateKey  // of SignKey, read once; nil leaves images unsigned
	trusted []*sign.PublicKey // who is believed about images of others; none: everybody
}

// addAttestFlags gives cmd the flags of every command that pushes.
func (f *Factory) addAttestFlags(cmd *cobra.Command, a *attestFlags) {
	flags := cmd.Flags()
	flags.BoolVar(&a.SBOM, "sbom", true, "attach to the image what it is made of (SPDX)")
	flags.BoolVar(&a.Provenance, "provenance", true, "attach to the image how it was made (SLSA)")
	flags.StringVar(&a.SignKey, "sign-key", "", "sign the image with the private key in this `FILE` (default: $KN_LITE_SIGN_KEY, then signKey in the settings)")
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.MarkFlagFilename("sign-key", "key", "pem")
}

// documents are what the flags ask for.
func (a *attestFlags) documents() build.Documents {
	return build.Documents{SBOM: a.SBOM, Provenance: a.Provenance}
}

// openSignKey reads the key that images are signed with, if there is one. It is
// called before any work: a wrong password is better known then.
func (f *Factory) openSignKey(ctx context.Context, a *attestFlags) error {
	cfg, err := f.Config()
	if err != nil {
		return err
	}
	file := cmp.Or(a.SignKey, cfg.SignKey)
	if file == "" {
		return nil
	}
	text, err := readKey(file)
	if err != nil {
		return err
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		f.IO.Warn("others may read the private key %s: chmod 600 %s", file, file)
	}
	key, err := sign.ParsePrivate(file, text, func() (string, error) { return f.signPassword(ctx, file) })
	if err != nil {
		return err
	}
	a.key = key
	a.trusted = append(a.trusted, key.Public())
	return a.addVerifyKey(cfg.VerifyKey)
}

// signPassword is that of an encrypted key.
func (f *Factory) signPassword(ctx context.Context, file string) (string, error) {
	if password := f.Sys.Env("KN_LITE_SIGN_PASSWORD"); password != "" {
		return password, nil
	}
	if !f.IO.CanPrompt() {
		return "", fault.New(fault.Auth, "sign.key", file, "the key is encrypted, and there is nobody to ask for the password").
			WithHint("give it in KN_LITE_SIGN_PASSWORD")
	}
	return f.IO.Secret(ctx, "Password of "+file+": ")
}

// withoutSecrets is the environment for toolchains: the scripts of a dependency
// have no business with the key that signs what they made.
func withoutSecrets(vars []string) []string {
	return slices.DeleteFunc(slices.Clone(vars), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(strings.ToUpper(name), "KN_LITE_SIGN_")
	})
}

// maxKey is far above the size of any key.
const maxKey = 64 << 10

func readKey(file string) ([]byte, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, &fault.Error{Op: "sign.key", Kind: fault.Usage, Subject: file, Err: err}
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, maxKey))
}

// wantedOf leaves out of a layout's documents those that nobody wants.
func (a *attestFlags) wantedOf(all []attest.Artifact) registry.Attached {
	var out []attest.Artifact
	for _, d := range all {
		if d.Type == attest.SPDXType && !a.SBOM || d.Type == attest.InTotoType && !a.Provenance {
			continue
		}
		out = append(out, d)
	}
	return registry.Attached{
		Sign:      a.signer(""),
		Documents: func(context.Context) ([]attest.Artifact, error) { return out, nil },
	}
}
