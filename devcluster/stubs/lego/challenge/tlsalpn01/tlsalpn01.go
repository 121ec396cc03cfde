// Package tlsalpn01 holds the options of the TLS-ALPN-01 challenge.
package tlsalpn01

import (
	"crypto/tls"
	"errors"
	"time"
)

// ACMETLS1Protocol is the ALPN name of the challenge (RFC 8737).
const ACMETLS1Protocol = "acme-tls/1"

// ChallengeOption alters the challenge.
type ChallengeOption func()

// SetDelay waits before the answer is checked.
func SetDelay(time.Duration) ChallengeOption { return func() {} }

// ChallengeBlocks would make the challenge's certificate.
func ChallengeBlocks(domain, keyAuth string) (cert, key []byte, err error) {
	return nil, nil, errors.New("built without ACME")
}

// ChallengeCert would make the challenge's certificate.
func ChallengeCert(domain, keyAuth string) (*tls.Certificate, error) {
	return nil, errors.New("built without ACME")
}
