package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry/credentials"
)

// Login checks that host accepts user and password, and then saves them where
// docker login would; where says where that is.
//
// Credentials that host refuses are Auth, and nothing is written.
func (c *Client) Login(ctx context.Context, host, user, password string) (where string, err error) {
	host, err = ParseHost(host)
	if err != nil {
		return "", err
	}
	if user == "" || password == "" {
		return "", fault.New(fault.Usage, "registry.login", host, "a user and a password are needed")
	}
	if err := c.tryCredential(ctx, host, credentials.Credential{User: user, Password: password}); err != nil {
		return "", c.explainLogin(ctx, host, user, err)
	}
	return c.creds.Save(ctx, host, user, password)
}

// Logout removes what Login keeps for host. found is false when there was
// nothing; from is where it was.
func (c *Client) Logout(ctx context.Context, host string) (from string, found bool, err error) {
	host, err = ParseHost(host)
	if err != nil {
		return "", false, err
	}
	return c.creds.Remove(ctx, host)
}

// ParseHost takes a registry's name as people write it: ghcr.io, localhost:5000,
// https://registry.example/. Docker Hub has several.
func ParseHost(text string) (string, error) {
	name := strings.TrimPrefix(strings.TrimPrefix(text, "https://"), "http://")
	name = strings.TrimSuffix(name, "/")
	if name == "docker.io" || name == "index.docker.io/v1" || name == "registry-1.docker.io" {
		return "index.docker.io", nil
	}
	r, err := Parse(name + "/any")
	if name == "" || strings.Contains(name, "/") || err != nil || r.Registry != name {
		return "", fault.New(fault.Usage, "registry.host", quote(text), "this is not the name of a registry").
			WithHint("it is a host, with a port if need be: ghcr.io, localhost:5000")
	}
	return name, nil
}

// tryCredential asks host for nothing but to be let in.
func (c *Client) tryCredential(ctx context.Context, host string, cred credentials.Credential) error {
	e, err := c.endpoint(ctx, host)
	if err != nil || e.challenge == nil {
		return err
	}
	header := basic(cred)
	if e.challenge.scheme != "basic" {
		// A token for no repository at all: what docker login asks for.
		token, err := c.token(ctx, e, e.challenge, cred, nil)
		if err != nil {
			return err
		}
		header = "Bearer " + token
	}
	req, err := http.NewRequestWithContext(withOrigin(ctx, host), http.MethodGet, e.scheme+"://"+host+"/v2/", http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", header)
	resp, err := c.send(req, c.opts.Policy.Stall)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return readStatusError(resp)
	}
	finish(resp)
	return nil
}

func (c *Client) explainLogin(ctx context.Context, host, user string, err error) error {
	var status *StatusError
	if errors.As(err, &status) && (status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden) {
		return (&fault.Error{Op: "registry.login", Kind: fault.Auth, Subject: host, Err: reason{"user " + quote(user) + " is refused: " + status.Error(), err}}).
			WithHint("check the user's name; many registries want an access token in place of the password")
	}
	return c.explain(ctx, "registry.login", host, host, err)
}

// Hosts returns the registries that Logout knows something of, sorted.
func (c *Client) Hosts() []string { return c.creds.Hosts() }
