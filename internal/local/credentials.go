package local

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// The certificate lasts a year, and is made anew a month before its end.
const (
	certificateLife  = 365 * 24 * time.Hour
	certificateRenew = 30 * 24 * time.Hour
)

// credentials are the platform's own, the same from one start to the next: a
// kubeconfig that somebody has copied goes on working.
type credentials struct {
	Token       string `json:"token"`
	Certificate []byte `json:"certificate"` // PEM; signed by itself, for loopback only
	Key         []byte `json:"key"`         // PEM
}

// openCredentials reads those of the folder, or makes them.
func (p Place) openCredentials(now time.Time) (*credentials, error) {
	file := p.file("credentials")
	var c credentials
	if raw, err := regular.ReadFile(file); err == nil && json.Unmarshal(raw, &c) == nil && c.valid(now) {
		return &c, nil
	}
	if c.Token == "" {
		c.Token = rand.Text() + rand.Text()
	}
	err := c.certify(now)
	if err == nil {
		var raw []byte
		if raw, err = json.Marshal(c); err == nil {
			err = sealed.WriteFile(file, raw)
		}
	}
	if err != nil {
		return nil, fault.New(fault.Failure, "local.credentials", file, "%w", err)
	}
	return &c, nil
}

func (c *credentials) valid(now time.Time) bool {
	pair, err := c.pair()
	return err == nil && c.Token != "" && pair.Leaf != nil && now.Add(certificateRenew).Before(pair.Leaf.NotAfter) && now.After(pair.Leaf.NotBefore)
}

func (c *credentials) pair() (tls.Certificate, error) { return tls.X509KeyPair(c.Certificate, c.Key) }

func (c *credentials) certify(now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "kn-lite local"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	c.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	if c.Certificate == nil || c.Key == nil {
		return errors.New("the certificate cannot be written as PEM")
	}
	return nil
}
