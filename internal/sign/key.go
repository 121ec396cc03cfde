package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"

	"github.com/kn-lite/kn-lite/internal/fault"
)

const hash = crypto.SHA256

// The PEM blocks of keys.
const (
	blockPrivate   = "PRIVATE KEY"
	blockEncrypted = "ENCRYPTED PRIVATE KEY"
	blockPublic    = "PUBLIC KEY"
)

// PrivateKey signs. It has no String method on purpose, and none of its content
// is in any error.
type PrivateKey struct{ key *ecdsa.PrivateKey }

// PublicKey verifies.
type PublicKey struct{ key *ecdsa.PublicKey }

// Generate makes a key of the curve P-256, which is cosign's default.
func Generate() (*PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{key}, nil
}

// Public is the half that may be given away.
func (k *PrivateKey) Public() *PublicKey { return &PublicKey{&k.key.PublicKey} }

// PEM is the key in PKCS #8, encrypted when there is a password.
func (k *PrivateKey) PEM(password string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return nil, errors.New("the key cannot be written down")
	}
	if password == "" {
		return pem.EncodeToMemory(&pem.Block{Type: blockPrivate, Bytes: der}), nil
	}
	sealed, err := encrypt(der, password)
	return pem.EncodeToMemory(&pem.Block{Type: blockEncrypted, Bytes: sealed}), err
}

// PEM is the key as SubjectPublicKeyInfo.
func (k *PublicKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.key)
	return pem.EncodeToMemory(&pem.Block{Type: blockPublic, Bytes: der}), err
}

// Fingerprint is the SHA-256 of the key as SubjectPublicKeyInfo, for people to
// compare: sha256:HEX.
func (k *PublicKey) Fingerprint() string {
	der, err := x509.MarshalPKIXPublicKey(k.key)
	if err != nil { // not for a key of a curve that was read or made here
		return "unknown"
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ParsePrivate reads a private key from the PEM file called file. password is
// asked for one that is encrypted only.
func ParsePrivate(file string, text []byte, password func() (string, error)) (*PrivateKey, error) {
	refuse := func(format string, args ...any) (*PrivateKey, error) {
		return nil, fault.New(fault.Usage, "sign.key", file, format, args...).
			WithHint("a key is made by: kn-lite image keygen; one that OpenSSL made has to be ECDSA in PKCS #8")
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return refuse("it is no PEM file")
	}
	der := block.Bytes
	switch block.Type {
	case blockPrivate:
	case blockEncrypted:
		secret, err := password()
		if err != nil {
			return nil, err
		}
		if der, err = decrypt(der, secret); err != nil {
			kind := fault.Usage
			if errors.Is(err, errPassword) {
				kind = fault.Auth
			}
			return nil, fault.New(kind, "sign.key", file, "%w", err)
		}
	case blockPublic:
		return refuse("it is a public key, and signing takes the private one")
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		return refuse("it is a key in cosign's own form, which only cosign reads; the keys of kn-lite are good for both")
	case "EC PRIVATE KEY":
		return refuse("it is a key in the old form of SEC 1; to convert it: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW")
	default:
		return refuse("it holds something else than a private key")
	}
	// The library's errors are not shown: they may quote what they read.
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return refuse("the key in it is damaged")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return refuse("it is no ECDSA key")
	}
	return &PrivateKey{key}, nil
}

// ParsePublic reads a public key from the PEM file called file.
func ParsePublic(file string, text []byte) (*PublicKey, error) {
	refuse := func(format string, args ...any) (*PublicKey, error) {
		return nil, fault.New(fault.Usage, "sign.key", file, format, args...).
			WithHint("the public key stands in the .pub file that kn-lite image keygen or cosign generate-key-pair made")
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return refuse("it is no PEM file")
	}
	if block.Type != blockPublic {
		return refuse("it holds something else than a public key")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return refuse("the key in it is damaged")
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return refuse("it is no ECDSA key")
	}
	return &PublicKey{key}, nil
}
