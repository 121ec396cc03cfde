package app

import (
	"cmp"
	"context"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// signing holds the key that images are signed with and those that count.
type signing struct {
	key     *sign.PrivateKey  // nil: nothing is signed
	trusted []*sign.PublicKey // none: everybody is believed about their images
}

var _ builder.Signing = (*signing)(nil)

// Signer implements builder.Signing.
func (s *signing) Signer(inputs string) registry.Signer {
	if s.key == nil {
		return nil
	}
	return func(name string, subject attest.Descriptor) (*attest.Artifact, error) {
		return s.key.Sign(sign.Statement{Name: name, Inputs: inputs}, subject)
	}
}

// Restricts implements builder.Signing.
func (s *signing) Restricts() bool { return len(s.trusted) > 0 }

// Check implements builder.Signing.
func (s *signing) Check(ctx context.Context, client *registry.Client, tag string, digest v1.Hash, inputs string) error {
	if !s.Restricts() {
		return nil
	}
	ref, err := registry.ParseTag(tag)
	if err != nil {
		return err
	}
	found, err := client.Signatures(ctx, ref.WithDigest(digest.String()))
	if err != nil {
		return err
	}
	var refused error
	for _, key := range s.trusted {
		err := key.Verify(sign.Statement{Name: ref.Name(), Inputs: inputs}, digest.String(), found)
		if err == nil {
			return nil
		}
		refused = cmp.Or(refused, err)
	}
	return refused
}

// openSigning reads the key in file, "" is the settings', that images are signed
// with, if there is one. It is called before any work: a wrong password is better
// known then. Whoever signs believes only themselves and the settings' verifyKey.
func (a *App) openSigning(ctx context.Context, file string) (*signing, error) {
	cfg, err := a.Settings()
	if err != nil {
		return nil, err
	}
	s := &signing{}
	if s.key, err = a.openSignKey(ctx, file); err != nil || s.key == nil {
		return s, err
	}
	s.trusted = append(s.trusted, s.key.Public())
	if cfg.VerifyKey != "" {
		key, err := openPublicKey(cfg.VerifyKey)
		if err != nil {
			return nil, err
		}
		s.trusted = append(s.trusted, key)
	}
	return s, nil
}

// openSignKey returns the private key in file, "" is the settings'; nil when there is
// none.
func (a *App) openSignKey(ctx context.Context, file string) (*sign.PrivateKey, error) {
	cfg, err := a.Settings()
	if err != nil {
		return nil, err
	}
	if file = cmp.Or(file, cfg.SignKey); file == "" {
		return nil, nil
	}
	text, err := readKey(file)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		a.report().Warn("others may read the private key " + file + ": chmod 600 " + file)
	}
	return sign.ParsePrivate(file, text, func() (string, error) { return a.keyPassword(ctx, file) })
}

// keyPassword returns the password of an encrypted key.
func (a *App) keyPassword(ctx context.Context, file string) (string, error) {
	if password := a.Env("KN_LITE_SIGN_PASSWORD"); password != "" {
		return password, nil
	}
	if a.Prompt == nil {
		return "", fault.New(fault.Auth, "sign.key", file, "the key is encrypted, and there is nobody to ask for the password").
			WithHint("give it in KN_LITE_SIGN_PASSWORD")
	}
	return a.Prompt.Secret(ctx, "Password of "+file+": ")
}

// WithoutSecrets returns the environment for toolchains: the scripts of a dependency
// have no business with the key that signs what they made.
func WithoutSecrets(vars []string) []string {
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

// openPublicKey reads a public key.
func openPublicKey(file string) (*sign.PublicKey, error) {
	text, err := readKey(file)
	if err != nil {
		return nil, err
	}
	return sign.ParsePublic(file, text)
}
