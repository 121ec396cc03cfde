// Package dns01 holds the options of the DNS-01 challenge.
package dns01

import (
	"strings"
	"time"
)

// ChallengeOption alters the challenge.
type ChallengeOption func()

// AddRecursiveNameservers asks these servers.
func AddRecursiveNameservers([]string) ChallengeOption { return func() {} }

// RecursiveNSsPropagationRequirement waits for the recursive servers.
func RecursiveNSsPropagationRequirement() ChallengeOption { return func() {} }

// DisableAuthoritativeNssPropagationRequirement does not wait for the authoritative servers.
func DisableAuthoritativeNssPropagationRequirement() ChallengeOption { return func() {} }

// PropagationWait waits a fixed time.
func PropagationWait(time.Duration, bool) ChallengeOption { return func() {} }

// UnFqdn drops the final dot of a domain name.
func UnFqdn(name string) string { return strings.TrimSuffix(name, ".") }
