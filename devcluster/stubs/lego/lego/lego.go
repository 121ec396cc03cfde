// Package lego is the ACME client's shape; every call refuses.
package lego

import (
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/go-acme/lego/v4/certcrypto"
	"github.com/go-acme/lego/v4/certificate"
	"github.com/go-acme/lego/v4/challenge"
	"github.com/go-acme/lego/v4/challenge/dns01"
	"github.com/go-acme/lego/v4/challenge/http01"
	"github.com/go-acme/lego/v4/challenge/tlsalpn01"
	"github.com/go-acme/lego/v4/registration"
)

// LEDirectoryProduction is empty: there is no certificate authority to ask.
const LEDirectoryProduction = ""

var errNoACME = errors.New("built without ACME")

// Config is a client's configuration.
type Config struct {
	CADirURL    string
	User        registration.User
	UserAgent   string
	HTTPClient  *http.Client
	Certificate CertificateConfig
}

// CertificateConfig says how certificates are asked for.
type CertificateConfig struct {
	KeyType           certcrypto.KeyType
	DisableCommonName bool
}

// NewConfig returns a configuration for user.
func NewConfig(user registration.User) *Config { return &Config{User: user} }

// Client is what NewClient would return.
type Client struct {
	Certificate  *Certifier
	Challenge    *Solver
	Registration *Registrar
}

// NewClient refuses.
func NewClient(*Config) (*Client, error) { return nil, errNoACME }

// CreateCertPool refuses.
func CreateCertPool([]string, bool) (*x509.CertPool, error) { return nil, errNoACME }

// Certifier would obtain certificates.
type Certifier struct{}

// Obtain refuses.
func (*Certifier) Obtain(certificate.ObtainRequest) (*certificate.Resource, error) {
	return nil, errNoACME
}

// RenewWithOptions refuses.
func (*Certifier) RenewWithOptions(certificate.Resource, *certificate.RenewOptions) (*certificate.Resource, error) {
	return nil, errNoACME
}

// Solver would answer challenges.
type Solver struct{}

// SetDNS01Provider refuses.
func (*Solver) SetDNS01Provider(challenge.Provider, ...dns01.ChallengeOption) error { return errNoACME }

// SetHTTP01Provider refuses.
func (*Solver) SetHTTP01Provider(challenge.Provider, ...http01.ChallengeOption) error {
	return errNoACME
}

// SetTLSALPN01Provider refuses.
func (*Solver) SetTLSALPN01Provider(challenge.Provider, ...tlsalpn01.ChallengeOption) error {
	return errNoACME
}

// Registrar would register accounts.
type Registrar struct{}

// Register refuses.
func (*Registrar) Register(registration.RegisterOptions) (*registration.Resource, error) {
	return nil, errNoACME
}

// RegisterWithExternalAccountBinding refuses.
func (*Registrar) RegisterWithExternalAccountBinding(registration.RegisterEABOptions) (*registration.Resource, error) {
	return nil, errNoACME
}
