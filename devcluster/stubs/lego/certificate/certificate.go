// Package certificate holds the shapes of ACME certificate requests.
package certificate

// Resource is one issued certificate with its key.
type Resource struct {
	Domain      string
	PrivateKey  []byte
	Certificate []byte
}

// ObtainRequest asks for a certificate.
type ObtainRequest struct {
	Domains        []string
	EmailAddresses []string
	Bundle         bool
	Profile        string
	PreferredChain string
}

// RenewOptions are those of a renewal.
type RenewOptions struct {
	Bundle         bool
	EmailAddresses []string
	Profile        string
	PreferredChain string
}
