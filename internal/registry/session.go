package registry

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/loopback"
	"github.com/kn-lite/kn-lite/internal/registry/credentials"
)

// endpoint is what a registry said when it was asked for the first time.
type endpoint struct {
	host      string
	scheme    string
	challenge *challenge // nil when it lets everybody in
	tls       *tls.ConnectionState
}

// endpoint asks host once how it wants to be spoken to.
func (c *Client) endpoint(ctx context.Context, host string) (*endpoint, error) {
	c.mu.Lock()
	known := c.endpoints[host]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	scheme := "https"
	resp, err := c.ping(ctx, scheme, host) //nolint:bodyclose // finish or setupError does
	if err != nil && c.plainAllowed(host) && speaksPlain(err, host) {
		scheme = "http"
		resp, err = c.ping(ctx, scheme, host) //nolint:bodyclose // finish or setupError does
	}
	if err != nil {
		return nil, err
	}
	e := &endpoint{host: host, scheme: scheme, tls: resp.TLS}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		e.challenge = pickChallenge(resp.Header.Values("Www-Authenticate"))
		if e.challenge == nil {
			return nil, setupError(resp)
		}
	default:
		return nil, setupError(resp)
	}
	finish(resp)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endpoints[host] = e
	return e, nil
}

func (c *Client) ping(ctx context.Context, scheme, host string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(withOrigin(ctx, host), http.MethodGet, scheme+"://"+host+"/v2/", nil)
	if err != nil {
		return nil, err
	}
	return c.send(req, c.opts.Policy.Stall)
}

func setupError(resp *http.Response) error {
	err := readStatusError(resp)
	err.setup = true
	return err
}

// speaksPlain tells from the failure of a TLS connection that plain HTTP is
// worth a try: the answer was no TLS, or none at all, or nobody listens at port 443. A bad
// certificate is neither: whoever sits in between must not get us to talk in
// the clear.
func speaksPlain(err error, host string) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) || isRefused(err) && host == loopback.Hostname(host) ||
		errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// session is one repository of one registry with one set of permissions.
type session struct {
	c          *Client
	host       string
	repository string
	scopes     []string

	// turn is held while header is read or renewed. It is a channel and no mutex,
	// so that whoever waits for a slow token server can give up.
	turn   chan struct{}
	header string // the Authorization header in use, "" before the first challenge

	worked atomic.Bool // the repository has accepted a header of ours
}

// session finds or makes the session for repository; actions is "pull" or
// "pull,push", extra are further scopes that a mount needs.
func (c *Client) session(host, repository, actions string, extra ...string) *session {
	scopes := append([]string{scopeOf(repository, actions)}, extra...)
	key := host + " " + strings.Join(scopes, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[key]
	if s == nil {
		s = &session{c: c, host: host, repository: repository, scopes: scopes, turn: make(chan struct{}, 1)}
		c.sessions[key] = s
	}
	return s
}

func scopeOf(repository, actions string) string { return "repository:" + repository + ":" + actions }

// do sends the request that build makes, with credentials. A 401, from a token
// that has run out, is answered with a new one, once, or twice where tokens have
// worked before: several transfers may see theirs run out at the same time. The
// request is built again for that, since its body is gone.
func (s *session) do(ctx context.Context, build func(ctx context.Context, base string) (*http.Request, error)) (*http.Response, error) {
	e, err := s.c.endpoint(ctx, s.host)
	if err != nil {
		return nil, err
	}
	ctx = withOrigin(ctx, e.host)
	header, err := s.authorization(ctx, e, "", e.challenge)
	if err != nil {
		return nil, err
	}
	for renewed := 0; ; renewed++ {
		req, err := build(ctx, e.scheme+"://"+e.host+"/v2/"+s.repository)
		if err != nil {
			return nil, err
		}
		if header != "" && req.URL.Host == e.host && req.URL.Scheme == e.scheme {
			req.Header.Set("Authorization", header)
		}
		resp, err := s.c.send(req, s.c.stallFor(req))
		if err != nil || req.URL.Host != e.host {
			return resp, err
		}
		if resp.StatusCode != http.StatusUnauthorized {
			s.worked.Store(true)
			return resp, nil
		}
		if renewed >= 2 || renewed >= 1 && !s.worked.Load() {
			return resp, nil
		}
		ch := pickChallenge(resp.Header.Values("Www-Authenticate"))
		if ch == nil {
			return resp, nil
		}
		fresh, err := s.authorization(ctx, e, header, ch)
		if err != nil {
			finish(resp)
			return nil, err
		}
		if fresh == header {
			return resp, nil
		}
		finish(resp)
		header = fresh
	}
}

// authorization gives the header that answers ch. stale is the one that was
// refused; when somebody else has replaced it meanwhile, theirs is used.
func (s *session) authorization(ctx context.Context, e *endpoint, stale string, ch *challenge) (string, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if ch == nil || s.header != stale {
		return s.header, nil
	}
	cred, err := s.c.creds.Lookup(ctx, s.host, s.repository)
	if err != nil {
		return "", err
	}
	switch {
	case cred.RegistryToken != "":
		s.header = "Bearer " + cred.RegistryToken
	case ch.scheme == "basic" && cred.Anonymous():
	case ch.scheme == "basic":
		s.header = basic(cred)
	default:
		token, err := s.c.token(ctx, e, ch, cred, s.scopes)
		if err != nil {
			return "", err
		}
		s.header = "Bearer " + token
	}
	return s.header, nil
}

func basic(cred credentials.Credential) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(cred.User+":"+cred.Password))
}

// token exchanges credentials for a bearer token that is good for scopes only.
func (c *Client) token(ctx context.Context, e *endpoint, ch *challenge, cred credentials.Credential, scopes []string) (string, error) {
	realm, err := url.Parse(ch.params["realm"])
	if err != nil || realm.Host == "" {
		return "", fmt.Errorf("the registry names no token server: realm %q", ch.params["realm"])
	}
	if err := c.checkTarget(e.host, realm); err != nil {
		return "", err
	}
	if e.scheme == "https" && realm.Scheme != "https" {
		return "", fmt.Errorf("%w from %s to %s: credentials would leave TLS", errRefusedTarget, e.host, redact(realm))
	}
	req, err := tokenRequest(withOrigin(ctx, e.host), realm, ch.params["service"], cred, scopes)
	if err != nil {
		return "", err
	}
	resp, err := c.send(req, c.opts.Policy.Stall)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", setupError(resp)
	}
	defer finish(resp)
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var reply struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	// The reply is not quoted: it may hold the token.
	if err := json.Unmarshal(body, &reply); err != nil {
		return "", errRetryable{fmt.Errorf("the reply of the token server %s is not JSON", redact(realm))}
	}
	if reply.Token == "" {
		reply.Token = reply.AccessToken
	}
	if reply.Token == "" {
		return "", errRetryable{fmt.Errorf("there is no token in the reply of the token server %s", redact(realm))}
	}
	return reply.Token, nil
}

// tokenRequest is a GET with basic credentials, or with an identity token the
// OAuth2 form of it.
func tokenRequest(ctx context.Context, realm *url.URL, service string, cred credentials.Credential, scopes []string) (*http.Request, error) {
	if cred.IdentityToken != "" {
		form := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {cred.IdentityToken}, "service": {service},
			"scope": {strings.Join(scopes, " ")}, "client_id": {"kn-lite"},
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(form.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		return req, err
	}
	target := *realm
	query := target.Query()
	if service != "" {
		query.Set("service", service)
	}
	if len(scopes) > 0 {
		query["scope"] = scopes
	}
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err == nil && !cred.Anonymous() {
		req.Header.Set("Authorization", basic(cred))
	}
	return req, err
}
