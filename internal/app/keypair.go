package app

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// KeyPair is a new pair of keys in two files.
type KeyPair struct {
	Private     string `json:"private"` // file
	Public      string `json:"public"`  // file
	Fingerprint string `json:"fingerprint"`
	Encrypted   bool   `json:"encrypted"`
}

// NewKeyPair makes a pair of keys in NAME.key and NAME.pub. Neither may be there: that
// is a Conflict. The private key is encrypted with the password in the environment, or
// else with the one that is asked for.
func (a *App) NewKeyPair(ctx context.Context, name string) (*KeyPair, error) {
	out := &KeyPair{Private: name + ".key", Public: name + ".pub"}
	for _, file := range []string{out.Private, out.Public} {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return nil, fault.New(fault.Conflict, "image.keygen", file, "%w", cmp.Or(err, fs.ErrExist)).
				WithHint("a lost key cannot be made again; name another one: kn-lite image keygen NAME")
		}
	}
	password, err := a.newPassword(ctx)
	if err != nil {
		return nil, err
	}
	key, err := sign.Generate()
	if err != nil {
		return nil, err
	}
	secret, err := key.PEM(password)
	if err != nil {
		return nil, err
	}
	open, err := key.Public().PEM()
	if err != nil {
		return nil, err
	}
	if err := createKeyFile(out.Private, secret, 0o600); err != nil {
		return nil, err
	}
	if err := createKeyFile(out.Public, open, 0o644); err != nil {
		return nil, errors.Join(err, os.Remove(out.Private))
	}
	if out.Encrypted = password != ""; !out.Encrypted {
		a.report().Note(out.Private + " is not encrypted: whoever reads it signs in your name")
	}
	out.Fingerprint = key.Public().Fingerprint()
	return out, nil
}

// newPassword returns the password that a new key is encrypted with; "" leaves it open.
func (a *App) newPassword(ctx context.Context) (string, error) {
	if password := a.Env("KN_LITE_SIGN_PASSWORD"); password != "" || a.Prompt == nil {
		return password, nil
	}
	password, err := a.Prompt.Secret(ctx, "Password of the new key (empty: none): ")
	if err != nil || password == "" {
		return "", err
	}
	again, err := a.Prompt.Secret(ctx, "Once more: ")
	if err == nil && again != password {
		err = fault.Usagef("the two passwords differ")
	}
	return password, err
}

// createKeyFile writes a file that must not be there, with exactly these permissions.
func createKeyFile(file string, content []byte, perm os.FileMode) error {
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
