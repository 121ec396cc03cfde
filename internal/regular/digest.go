package regular

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

// Digest returns the SHA-256 of the content of a regular file, in hex, however
// large it is.
func Digest(name string) (string, error) {
	f, err := Open(name)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
