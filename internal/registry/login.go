package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Login checks that host accepts user and password, and then keeps them where
// docker login would: with the helper that the file names for host, else in the
// file itself. kept says where. A file that was there keeps everything else that
// is in it.
//
// Credentials that host refuses are Auth, and nothing is written.
func (c *Client) Login(ctx context.Context, host, user, password string) (kept string, err error) {
	host, err = ParseHost(host)
	if err != nil {
		return "", err
	}
	if user == "" || password == "" {
		return "", fault.New(fault.Usage, "registry.login", host, "a user and a password are needed")
	}
	if err := c.tryCredential(ctx, host, credential{user: user, password: password}); err != nil {
		return "", c.explainLogin(ctx, host, user, err)
	}
	p, config, err := c.creds.writable()
	if err != nil {
		return "", err
	}
	key := hostKeys(host)[0]
	if helper := config.helperFor(host); helper != "" {
		secret, err := json.Marshal(map[string]string{"ServerURL": key, "Username": user, "Secret": password})
		if err != nil {
			return "", err
		}
		if err := callHelper(ctx, helper, "store", secret, p); err != nil {
			return "", err
		}
		// docker lists in the file what its helpers have.
		return "docker-credential-" + helper, editAuths(p, func(auths map[string]json.RawMessage) { auths[key] = json.RawMessage("{}") })
	}
	entry, err := json.Marshal(authEntry{Auth: base64.StdEncoding.EncodeToString([]byte(user + ":" + password))})
	if err != nil {
		return "", err
	}
	return p.path, editAuths(p, func(auths map[string]json.RawMessage) { auths[key] = entry })
}

// Logout removes what Login keeps for host. found is false when there was
// nothing; from is where it was.
func (c *Client) Logout(ctx context.Context, host string) (from string, found bool, err error) {
	host, err = ParseHost(host)
	if err != nil {
		return "", false, err
	}
	p, config, err := c.creds.writable()
	if err != nil {
		return "", false, err
	}
	from = p.path
	if helper := config.helperFor(host); helper != "" {
		from = "docker-credential-" + helper
		for _, key := range hostKeys(host) {
			cred, err := runHelper(ctx, helper, key, p)
			if err != nil {
				return "", false, err
			}
			if cred.anonymous() {
				continue
			}
			if err := callHelper(ctx, helper, "erase", []byte(key), p); err != nil {
				return "", false, err
			}
			found = true
		}
	}
	for _, key := range hostKeys(host) {
		if _, ok := config.Auths[key]; !ok {
			continue
		}
		err := editAuths(p, func(auths map[string]json.RawMessage) { delete(auths, key) })
		if err != nil {
			return "", false, err
		}
		found = true
	}
	return from, found, nil
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
func (c *Client) tryCredential(ctx context.Context, host string, cred credential) error {
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

// writable is the file that Login and Logout change: the first that counts. One
// that does not exist yet is empty.
func (k *keychain) writable() (place, *dockerConfig, error) {
	places := k.places()
	if len(places) == 0 {
		return place{}, nil, fault.New(fault.Usage, "registry.credentials", "", "there is no home directory to keep credentials in").
			WithHint("name a file with --authfile")
	}
	p := places[0]
	p.named = false // it will be there afterwards
	config, err := readDockerConfig(p)
	if config == nil {
		config = &dockerConfig{}
	}
	return p, config, err
}

// helperFor is the name of the helper that has host's credentials, or "".
func (d *dockerConfig) helperFor(host string) string {
	for _, key := range hostKeys(host) {
		if helper := d.CredHelpers[key]; helper != "" {
			return helper
		}
	}
	return d.CredsStore
}

func callHelper(ctx context.Context, helper, verb string, input []byte, p place) error {
	program := "docker-credential-" + helper
	if strings.ContainsAny(helper, `/\`) {
		return fault.New(fault.Auth, "registry.credentials", p.label, "the credential helper %q is no plain name", helper)
	}
	cmd := exec.CommandContext(ctx, program, verb)
	cmd.Stdin = bytes.NewReader(input)
	// What it prints may hold secrets and is not shown.
	if err := cmd.Run(); err != nil {
		return fault.New(fault.Auth, "registry.credentials", program, "it cannot %s the credentials: %w", verb, err).
			WithHint("%s names this helper; take it out there to keep credentials in the file itself", p.label)
	}
	return nil
}

// editAuths changes the entries of a credentials file and nothing else in it.
// Whoever reads meanwhile sees the old file or the new one.
func editAuths(p place, edit func(auths map[string]json.RawMessage)) error {
	whole, auths := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	raw, err := os.ReadFile(p.path)
	if err == nil {
		err = json.Unmarshal(raw, &whole)
	}
	if err == nil && whole["auths"] != nil {
		err = json.Unmarshal(whole["auths"], &auths)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fault.Error{Op: "registry.credentials", Kind: fault.Auth, Subject: p.label, Err: err}
	}
	if auths == nil { // "auths": null
		auths = map[string]json.RawMessage{}
	}
	edit(auths)
	if whole["auths"], err = json.Marshal(auths); err == nil {
		raw, err = json.MarshalIndent(whole, "", "\t")
	}
	if err == nil {
		err = replace(p.path, append(raw, '\n'))
	}
	if err != nil {
		return &fault.Error{Op: "registry.credentials", Kind: fault.Failure, Subject: p.label, Err: err}
	}
	return nil
}

// replace writes a file that only its owner may read. A link to the file stays a
// link: people keep their settings in a repository.
func replace(path string, content []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeWhole(path, content)
}

// Hosts are the registries that Logout knows something of, sorted.
func (c *Client) Hosts() []string {
	_, config, err := c.creds.writable()
	if err != nil {
		return nil
	}
	var hosts []string
	for key := range config.Auths {
		if key == hostKeys("index.docker.io")[0] {
			key = "docker.io"
		}
		hosts = append(hosts, key)
	}
	for host := range config.CredHelpers {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
