// Package certcrypto names key types; see ../../README.md.
package certcrypto

// KeyType is the kind and size of a private key.
type KeyType string

// The key types that a configuration may name.
const (
	EC256   = KeyType("P256")
	EC384   = KeyType("P384")
	RSA2048 = KeyType("2048")
	RSA4096 = KeyType("4096")
	RSA8192 = KeyType("8192")
)
