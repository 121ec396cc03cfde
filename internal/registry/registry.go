// Package registry moves images to and from OCI registries, and keeps three
// promises while it does:
//
//   - Nobody ever sees a tag that is empty or half there: blobs are written
//     first, then every manifest by its digest, and the tag last.
//   - No request waits for ever and none is repeated without end: a connection
//     that moves no byte for the stall timeout is given up, an operation is
//     tried at most Policy.Attempts times in all, Retry-After is honoured. Of
//     large layers that is each chunk, once the first connection has broken.
//   - Credentials go to the registry they belong to and nowhere else, ask for
//     the least scope, and travel in plain HTTP only to loopback or to hosts
//     that the user named insecure. TLS verification is never switched off.
//
// Errors are *fault.Error. A registry that refuses connections, answers 429 or
// 5xx or goes silent until the attempts are used up is Transient, and so is one
// whose name has no address, as it is for the cluster's API server; 401 and 403
// are Auth; an unknown repository or image is NotFound; a certificate that
// cannot be trusted is a Failure, since neither waiting nor logging in helps; a
// reference that cannot be parsed is Usage.
//
// The protocol is https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md,
// the token exchange https://distribution.github.io/distribution/spec/auth/token/.
package registry

import (
	"net/http"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/registry/credentials"
)

// Options configure a Client. The zero value works: credentials as docker and
// podman keep them (where Env allows to find them), no mirrors, the system's
// certificates.
type Options struct {
	AuthFile     string              // docker config.json or podman auth.json to use instead of all others
	AuthFileFrom string              // where AuthFile was named, for messages; "" leaves it out
	Auths        [][]byte            // contents of docker config.json files that come before all others; no helper in them is run
	Env          func(string) string // environment, for credentials and proxies; nil is an empty one
	Insecure     []string            // host or host:port that may be spoken to in plain HTTP, besides loopback
	Mirrors      map[string][]string // registry host → "host[:port][/prefix]" to pull from before it, in order
	Routes       map[string]string   // host:port → host:port that is connected to instead, under the same name
	CAFile       string              // PEM bundle trusted in addition to the system's certificates
	Certificates map[string]KeyPair  // host or host:port → the client certificate that it is shown

	Jobs      int               // blobs moved at a time, default 4
	Policy    Policy            // how often and how patiently to repeat
	Progress  progress.Reporter // of every blob; may be nil
	UserAgent string            // default "kn-lite"
	Transport http.RoundTripper // replaces the network, for tests; nil is the real one
}

// Policy bounds repetition. Zero fields take the defaults.
type Policy struct {
	Attempts int           // tries per operation in all, default 6
	Refused  int           // tries while connections are refused, default 3: a registry that is not running rarely starts now
	Base     time.Duration // first pause, doubled each time, default 500 ms
	Max      time.Duration // longest pause of our own, default 15 s
	AfterMax time.Duration // longest Retry-After that is waited for, default 60 s
	Stall    time.Duration // give up on a connection that moves no byte for so long, default 30 s
}

func (p Policy) withDefaults() Policy {
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if p.Attempts <= 0 {
		p.Attempts = 6
	}
	if p.Refused <= 0 {
		p.Refused = min(3, p.Attempts)
	}
	def(&p.Base, 500*time.Millisecond)
	def(&p.Max, 15*time.Second)
	def(&p.AfterMax, 60*time.Second)
	def(&p.Stall, 30*time.Second)
	return p
}

// Client talks to any number of registries. It is safe for concurrent use and
// remembers connections and tokens, so make one and keep it.
type Client struct {
	opts  Options
	http  *http.Client
	creds *credentials.Keychain
	plain map[string]bool // hosts named insecure

	mu        sync.Mutex
	endpoints map[string]*endpoint // by host
	sessions  map[string]*session  // by host, then scopes
}

// Options returns what the client was made with, for one that works elsewhere.
func (c *Client) Options() Options { return c.opts }

// New makes a Client. It reads the CA file, and nothing else yet.
func New(opts Options) (*Client, error) {
	if opts.Env == nil {
		opts.Env = func(string) string { return "" }
	}
	if opts.Jobs <= 0 {
		opts.Jobs = 4
	}
	if opts.Progress == nil {
		opts.Progress = progress.Nop()
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "kn-lite"
	}
	opts.Policy = opts.Policy.withDefaults()
	c := &Client{
		opts:      opts,
		creds:     credentials.New(credentials.Options{Configs: opts.Auths, File: opts.AuthFile, FileFrom: opts.AuthFileFrom, Env: opts.Env}),
		plain:     map[string]bool{},
		endpoints: map[string]*endpoint{},
		sessions:  map[string]*session{},
	}
	for _, host := range opts.Insecure {
		c.plain[host] = true
	}
	rt := opts.Transport
	if rt == nil {
		var err error
		if rt, err = newTransport(opts); err != nil {
			return nil, err
		}
	}
	c.http = &http.Client{Transport: rt, CheckRedirect: c.checkRedirect}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
