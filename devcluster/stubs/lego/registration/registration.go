// Package registration holds the shapes of an ACME account.
package registration

import "crypto"

// Resource is a registered account.
type Resource struct {
	URI string `json:"uri,omitempty"`
}

// User is an account holder.
type User interface {
	GetEmail() string
	GetRegistration() *Resource
	GetPrivateKey() crypto.PrivateKey
}

// RegisterOptions are those of a plain registration.
type RegisterOptions struct{ TermsOfServiceAgreed bool }

// RegisterEABOptions are those of a registration bound to another account.
type RegisterEABOptions struct {
	TermsOfServiceAgreed bool
	Kid                  string
	HmacEncoded          string
}
