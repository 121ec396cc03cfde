// Package challenge holds the interface of ACME challenge solvers.
package challenge

// Provider presents and removes the answer to a challenge.
type Provider interface {
	Present(domain, token, keyAuth string) error
	CleanUp(domain, token, keyAuth string) error
}
