package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// keyAnswer is a new pair of keys as -o json shows it.
type keyAnswer struct {
	APIVersion  string `json:"apiVersion"`
	Kind        string `json:"kind"`
	Private     string `json:"private"` // file
	Public      string `json:"public"`  // file
	Fingerprint string `json:"fingerprint"`
	Encrypted   bool   `json:"encrypted"`
}

func newImageKeygenCmd(f *Factory) *cobra.Command {
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
			name := "kn-lite"
			if len(args) > 0 {
				name = args[0]
			}
			return runImageKeygen(cmd.Context(), f, name)
		},
	}
}

func runImageKeygen(ctx context.Context, f *Factory, name string) error {
	private, public := name+".key", name+".pub"
	for _, file := range []string{private, public} {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Conflict, "image.keygen", file, "%w", cmp.Or(err, fs.ErrExist)).
				WithHint("a lost key cannot be made again; name another one: kn-lite image keygen NAME")
		}
	}
	password, err := newPassword(ctx, f)
	if err != nil {
		return err
	}
	key, err := sign.Generate()
	if err != nil {
		return err
	}
	secret, err := key.PEM(password)
	if err != nil {
		return err
	}
	open, err := key.Public().PEM()
	if err != nil {
		return err
	}
	if err := writeNew(private, secret, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, open, 0o644); err != nil {
		return errors.Join(err, os.Remove(private))
	}
	if password == "" {
		f.IO.Note("%s is not encrypted: whoever reads it signs in your name", private)
	}
	out := keyAnswer{
		APIVersion: apiVersion, Kind: "KeyPair", Private: private, Public: public,
		Fingerprint: key.Public().Fingerprint(), Encrypted: password != "",
	}
	return f.print(answer{Object: out, Names: []string{public}, Table: func() error { return f.IO.Answer("%s", public) }})
}

// newPassword is the one that a new key is encrypted with; "" leaves it open.
func newPassword(ctx context.Context, f *Factory) (string, error) {
	if password := f.Sys.Env("KN_LITE_SIGN_PASSWORD"); password != "" || !f.IO.CanPrompt() {
		return password, nil
	}
	password, err := f.IO.Secret(ctx, "Password of the new key (empty: none): ")
	if err != nil || password == "" {
		return "", err
	}
	again, err := f.IO.Secret(ctx, "Once more: ")
	if err == nil && again != password {
		err = fault.Usagef("the two passwords differ")
	}
	return password, err
}

// writeNew writes a file that must not be there, with exactly these permissions.
func writeNew(file string, content []byte, perm os.FileMode) error {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return &fault.Error{Op: "image.keygen", Subject: file, Err: err}
	}
	_, err = out.Write(content)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return &fault.Error{Op: "image.keygen", Subject: file, Err: errors.Join(err, os.Remove(file))}
	}
	return nil
}
