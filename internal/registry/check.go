package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/loopback"
	"github.com/kn-lite/kn-lite/internal/registry/credentials"
)

// Check is what there is to know about one registry, as seen from here. Its JSON is
// what programs read: fields are added and never changed.
type Check struct {
	Host       string      `json:"registry"`
	Repository string      `json:"repository,omitempty"` // "" when only a host was asked about
	URL        string      `json:"url"`                  // how it is spoken to
	Mirrors    []string    `json:"mirrors,omitempty"`
	TLS        *CheckedTLS `json:"tls,omitempty"`         // nil in plain HTTP
	PlainWhy   string      `json:"-"`                     // why plain HTTP is accepted, "" with TLS
	Auth       string      `json:"auth"`                  // what it asks for: none, basic, bearer
	TokenFrom  string      `json:"tokenServer,omitempty"` // the token server of bearer, without its query

	Sources []credentials.Source `json:"sources"`               // where credentials were looked for, in order, up to the ones in use
	User    string               `json:"user,omitempty"`        // of the credentials in use
	From    string               `json:"credentials,omitempty"` // where they were found, "" for none

	Pull Permission `json:"pull"`
	Push Permission `json:"push"`
}

// CheckedTLS is the connection's certificate.
type CheckedTLS struct {
	Version   string    `json:"version"`   // e.g. TLS 1.3
	Subject   string    `json:"subject"`   // the registry's own certificate
	Issuer    string    `json:"issuer"`    // the authority at the end of its chain
	NotAfter  time.Time `json:"notAfter"`  // of the registry's own
	TrustedBy string    `json:"trustedBy"` // the system's certificates, or a file
}

// Permission is what an account may do. The zero value is that nobody asked.
type Permission struct {
	Answer string `json:"answer,omitempty"` // yes, no
	Why    string `json:"why,omitempty"`    // what the registry said
}

// String returns the answer with its reason.
func (p Permission) String() string {
	if p.Why == "" {
		return p.Answer
	}
	return p.Answer + ": " + p.Why
}

// Refused returns an error when the registry does not permit a pull or a push.
func (c *Check) Refused() error {
	for _, p := range []struct {
		what string
		Permission
	}{{"pull from", c.Pull}, {"push to", c.Push}} {
		if p.Answer == "no" {
			return fault.New(fault.Auth, "registry.check", strings.TrimSuffix(c.Host+"/"+c.Repository, "/"), "not permitted to %s it", p.what).
				WithHint("log in with `kn-lite registry login %s`, or ask for the permission", c.Host)
		}
	}
	return nil
}

// Check asks host, and repository's part of it unless that is "", for all that a
// pull and a push would need, and changes nothing: an upload is begun and given
// up. A registry that cannot be spoken to at all is an error; one that refuses
// is not, its answers are in Pull and Push.
func (c *Client) Check(ctx context.Context, host, repository string) (*Check, error) {
	check := &Check{Host: host, Repository: repository, Mirrors: c.opts.Mirrors[host], Auth: "none", Sources: []credentials.Source{}}
	if check.Mirrors == nil && host == "index.docker.io" {
		check.Mirrors = c.opts.Mirrors["docker.io"]
	}
	e, err := c.endpoint(ctx, host)
	if err != nil {
		return nil, c.explain(ctx, "registry.check", host, host, err)
	}
	check.URL = e.scheme + "://" + host
	if e.scheme == "http" {
		check.PlainWhy = "it is on loopback"
		if c.plain[host] || c.plain[loopback.Hostname(host)] {
			check.PlainWhy = "it is named insecure"
		}
	}
	if e.tls != nil {
		check.TLS = c.describeTLS(e.tls)
	}
	if e.challenge != nil {
		check.Auth = e.challenge.scheme
		check.TokenFrom, _, _ = strings.Cut(e.challenge.params["realm"], "?")
	}
	sources, cred, err := c.creds.Trace(ctx, host, repository)
	check.Sources = append(check.Sources, sources...)
	if err != nil {
		return check, err
	}
	if !cred.Anonymous() {
		check.User, check.From = cred.User, cred.From
	}
	if repository == "" {
		check.Pull = c.mayEnter(ctx, host, e, cred)
		return check, nil
	}
	check.Pull, check.Push = c.mayPull(ctx, host, repository), c.mayPush(ctx, host, repository)
	return check, ctx.Err()
}

// describeTLS says who vouches for a certificate. The connection has been
// verified; what is asked here is only by whom.
func (c *Client) describeTLS(state *tls.ConnectionState) *CheckedTLS {
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	chain := state.VerifiedChains[0]
	out := &CheckedTLS{
		Version: tls.VersionName(state.Version), Subject: chain[0].Subject.String(),
		Issuer: chain[len(chain)-1].Subject.String(), NotAfter: chain[0].NotAfter, TrustedBy: "the system's certificates",
	}
	if c.opts.CAFile == "" {
		return out
	}
	system, err := x509.SystemCertPool()
	if err != nil {
		system = x509.NewCertPool()
	}
	between := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		between.AddCert(certificate)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: system, Intermediates: between}); err != nil {
		out.TrustedBy = c.opts.CAFile
	}
	return out
}

func (c *Client) mayEnter(ctx context.Context, host string, e *endpoint, cred credentials.Credential) Permission {
	if e.challenge == nil {
		return Permission{"yes", "it asks nobody for credentials"}
	}
	if cred.Anonymous() {
		return Permission{"no", "it asks for credentials, and there are none"}
	}
	if cred.RegistryToken != "" {
		return Permission{"yes", "the token is for its repositories only, and not tried"}
	}
	return permission(c.tryCredential(ctx, host, cred))
}

func (c *Client) mayPull(ctx context.Context, host, repository string) Permission {
	resp, err := c.session(host, repository, "pull").do(ctx, func(ctx context.Context, base string) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, base+"/tags/list?n=1", http.NoBody)
	})
	if err != nil {
		return permission(err)
	}
	if resp.StatusCode == http.StatusOK {
		finish(resp)
		return Permission{"yes", ""}
	}
	return permission(readStatusError(resp))
}

// mayPush begins an upload and gives it up again.
func (c *Client) mayPush(ctx context.Context, host, repository string) Permission {
	s := c.session(host, repository, "pull,push")
	resp, err := s.do(ctx, func(ctx context.Context, base string) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodPost, base+"/blobs/uploads/", http.NoBody)
	})
	if err != nil {
		return permission(err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return permission(readStatusError(resp))
	}
	finish(resp)
	if location, err := s.location(resp); err == nil {
		// One that nobody gives up is given up by the registry, sooner or later.
		gone, err := s.do(ctx, func(ctx context.Context, _ string) (*http.Request, error) {
			return http.NewRequestWithContext(ctx, http.MethodDelete, location.String(), http.NoBody)
		})
		if err == nil {
			finish(gone)
		}
	}
	return Permission{"yes", ""}
}

// permission reads what a registry's refusal means.
func permission(err error) Permission {
	var status *StatusError
	switch {
	case err == nil:
		return Permission{"yes", ""}
	case errors.As(err, &status) && status.Status == http.StatusNotFound:
		return Permission{"yes", "there is no such repository yet"}
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return Permission{"no", known.Error()}
	}
	return Permission{"no", plainCause(err).Error()}
}
