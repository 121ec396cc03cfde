// Package pki makes a cluster's certificates and the kubeconfigs that carry them.
// Keys never leave the instance's folder.
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Subject is one certificate to issue.
type Subject struct {
	// File is the base name: File.crt and File.key are written.
	File string
	// User and Groups are Kubernetes' reading of common name and organisations.
	User   string
	Groups []string
	// Names and Addresses make it a serving certificate as well as a client's.
	Names     []string
	Addresses []netip.Addr
}

// validity of everything issued: a development cluster does not live longer.
const validity = 365 * 24 * time.Hour

// Issue writes into dir a CA (ca.crt, ca.key), the service account key pair
// (sa.key, sa.pub) and a certificate for each subject, all ECDSA P-256. Files are
// readable by their owner only. A dir that has a CA already is left as it is, since
// a running cluster trusts it.
func Issue(dir string, now time.Time, subjects []Subject) error {
	if _, err := os.Stat(filepath.Join(dir, "ca.crt")); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{}
	caKey, err := newKey(files, "ca.key")
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kn-lite-devcluster"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return fmt.Errorf("issue the CA: %w", err)
	}
	authority := encode("CERTIFICATE", der)
	// Parsed again, so that what is issued carries the CA's key id.
	if ca, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	saKey, err := newKey(files, "sa.key")
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(saKey.Public())
	if err != nil {
		return err
	}
	files["sa.pub"] = encode("PUBLIC KEY", public)

	for i, s := range subjects {
		key, err := newKey(files, s.File+".key")
		if err != nil {
			return err
		}
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2),
			Subject:      pkix.Name{CommonName: s.User, Organization: s.Groups},
			NotBefore:    ca.NotBefore,
			NotAfter:     ca.NotAfter,
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			DNSNames:     s.Names,
		}
		for _, a := range s.Addresses {
			leaf.IPAddresses = append(leaf.IPAddresses, net.IP(a.AsSlice()))
		}
		if len(s.Names)+len(s.Addresses) > 0 {
			leaf.ExtKeyUsage = append(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
		if err != nil {
			return fmt.Errorf("issue %s: %w", s.File, err)
		}
		files[s.File+".crt"] = encode("CERTIFICATE", der)
	}
	var errs []error
	for name, text := range files {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// Last, because its presence says that all the others are there.
	return os.WriteFile(filepath.Join(dir, "ca.crt"), authority, 0o600)
}

func newKey(files map[string][]byte, name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	files[name] = encode("EC PRIVATE KEY", der)
	return key, nil
}

func encode(kind string, der []byte) []byte {
	var b bytes.Buffer
	// Writing to a buffer cannot fail.
	_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der})
	return b.Bytes()
}
