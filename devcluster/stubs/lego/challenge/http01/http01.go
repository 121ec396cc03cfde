// Package http01 holds the options of the HTTP-01 challenge.
package http01

import "time"

// ChallengeOption alters the challenge.
type ChallengeOption func()

// SetDelay waits before the answer is checked.
func SetDelay(time.Duration) ChallengeOption { return func() {} }

// ChallengePath is where the answer to token is expected (RFC 8555, 8.3).
func ChallengePath(token string) string { return "/.well-known/acme-challenge/" + token }
