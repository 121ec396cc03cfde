package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// credential is what a registry accepts. The zero value is anonymous.
type credential struct {
	user, password string
	identityToken  string // an OAuth2 refresh token, in place of a password
	registryToken  string // a bearer token to be sent as it is
	from           string // where it was found; never the secret
}

func (c credential) anonymous() bool {
	return c.user == "" && c.password == "" && c.identityToken == "" && c.registryToken == ""
}

// keychain finds credentials where docker and podman keep them. A file that
// somebody named, by flag or variable, is the only one read; otherwise the
// usual places are searched in order. (ggcr's default keychain lets an existing
// ~/.docker/config.json hide REGISTRY_AUTH_FILE without a word.)
type keychain struct {
	auths    [][]byte
	authFile string
	from     string // where authFile was named
	env      func(string) string

	mu    sync.Mutex
	found map[string]credential // by host
}

// place is a file that may hold credentials.
type place struct {
	path  string
	label string // as the user would say it
	named bool   // must exist
}

// places in the order in which they count.
func (k *keychain) places() []place {
	if k.authFile != "" {
		return []place{{k.authFile, k.authFile + " (" + k.from + ")", true}}
	}
	for _, variable := range []string{"KN_LITE_AUTHFILE", "REGISTRY_AUTH_FILE"} {
		if path := k.env(variable); path != "" {
			return []place{{path, path + " ($" + variable + ")", variable == "KN_LITE_AUTHFILE"}}
		}
	}
	if dir := k.env("DOCKER_CONFIG"); dir != "" {
		path := filepath.Join(dir, "config.json")
		return []place{{path, path + " ($DOCKER_CONFIG)", false}}
	}
	var out []place
	add := func(base string, parts ...string) {
		if base != "" {
			path := filepath.Join(append([]string{base}, parts...)...)
			out = append(out, place{path, path, false})
		}
	}
	home := k.env("HOME")
	if home == "" {
		home = k.env("USERPROFILE")
	}
	add(home, ".docker", "config.json")
	add(k.env("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if config := k.env("XDG_CONFIG_HOME"); config != "" {
		add(config, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	return out
}

// describe says which credentials are in use for host, or where none were.
func (k *keychain) describe(host string) string {
	k.mu.Lock()
	cred, ok := k.found[host]
	k.mu.Unlock()
	if ok && !cred.anonymous() {
		who := ""
		if cred.user != "" && cred.identityToken == "" {
			who = " for user " + quote(cred.user)
		}
		return "used the credentials" + who + " from " + cred.from
	}
	var tried []string
	for _, p := range k.places() {
		tried = append(tried, p.label)
	}
	if len(tried) == 0 {
		return "there are no credentials for " + host
	}
	return "there are no credentials for " + host + " in " + strings.Join(tried, ", ")
}

// lookup finds the credentials for a repository; anonymous is no error, a file
// that cannot be read or a helper that breaks is.
func (k *keychain) lookup(ctx context.Context, host, repository string) (credential, error) {
	cred, err := k.given(ctx, host, repository)
	if err != nil {
		return credential{}, err
	}
	for _, p := range k.places() {
		if !cred.anonymous() {
			break
		}
		config, err := readDockerConfig(p)
		if err != nil {
			return credential{}, err
		}
		if config == nil {
			continue
		}
		if cred, err = config.credential(ctx, p, host, repository); err != nil {
			return credential{}, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.found == nil {
		k.found = map[string]credential{}
	}
	k.found[host] = cred
	return cred, nil
}

// given looks in what came with the options: whoever has made that must not choose
// programs of this machine to run.
func (k *keychain) given(ctx context.Context, host, repository string) (credential, error) {
	p := place{label: "the pull secrets"}
	for _, raw := range k.auths {
		var config dockerConfig
		if err := json.Unmarshal(raw, &config); err != nil {
			return credential{}, fault.New(fault.Auth, "registry.credentials", p.label, "%w", err).
				WithHint("a pull secret must hold what `docker login` writes, under .dockerconfigjson")
		}
		config.CredsStore, config.CredHelpers = "", nil
		cred, err := config.credential(ctx, p, host, repository)
		if err != nil || !cred.anonymous() {
			return cred, err
		}
	}
	return credential{}, nil
}

// dockerConfig is the part of docker's config.json and podman's auth.json that
// concerns credentials.
type dockerConfig struct {
	Auths       map[string]authEntry `json:"auths"`
	CredsStore  string               `json:"credsStore,omitempty"`
	CredHelpers map[string]string    `json:"credHelpers,omitempty"`
}

type authEntry struct {
	Auth          string `json:"auth,omitempty"` // base64 of user:password
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
}

func readDockerConfig(p place) (*dockerConfig, error) {
	raw, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) && !p.named {
		return nil, nil
	}
	var config dockerConfig
	if err == nil {
		err = json.Unmarshal(raw, &config)
	}
	if err != nil {
		return nil, fault.New(fault.Auth, "registry.credentials", p.label, "%w", err).
			WithHint("the file must be what `docker login` or `podman login` writes")
	}
	return &config, nil
}

func (d *dockerConfig) credential(ctx context.Context, p place, host, repository string) (credential, error) {
	for _, key := range hostKeys(host) {
		if helper := d.CredHelpers[key]; helper != "" {
			return runHelper(ctx, helper, key, p)
		}
	}
	if d.CredsStore != "" {
		for _, key := range hostKeys(host) {
			cred, err := runHelper(ctx, d.CredsStore, key, p)
			if err != nil || !cred.anonymous() {
				return cred, err
			}
		}
	}
	entry, ok := d.entry(host, repository)
	if !ok {
		return credential{}, nil
	}
	cred := credential{user: entry.Username, password: entry.Password, identityToken: entry.IdentityToken, registryToken: entry.RegistryToken, from: p.label}
	if entry.Auth != "" {
		decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
		user, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok {
			return credential{}, fault.New(fault.Auth, "registry.credentials", p.label, "the auth entry for %s is not the base64 of user:password", host)
		}
		// docker pads old entries with NUL bytes.
		cred.user, cred.password = user, strings.TrimRight(password, "\x00")
	}
	return cred, nil
}

// entry prefers podman's more specific keys (host/team/app, then host/team)
// over the host's own.
func (d *dockerConfig) entry(host, repository string) (authEntry, bool) {
	for path := repository; path != ""; path, _, _ = cutLastOrNothing(path) {
		if e, ok := d.Auths[host+"/"+path]; ok {
			return e, true
		}
	}
	for _, key := range hostKeys(host) {
		if e, ok := d.Auths[key]; ok {
			return e, true
		}
	}
	// Entries may be written as URLs: https://registry.example/v1/.
	for key, e := range d.Auths {
		trimmed := strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
		if trimmed, _, _ = strings.Cut(trimmed, "/"); trimmed == host && strings.Contains(key, "://") {
			return e, true
		}
	}
	return authEntry{}, false
}

func cutLastOrNothing(path string) (before, after string, found bool) {
	if i := strings.LastIndex(path, "/"); i >= 0 {
		return path[:i], path[i+1:], true
	}
	return "", path, false
}

// hostKeys are the names under which a host's credentials are filed. Docker
// Hub's go by a URL of its first years.
func hostKeys(host string) []string {
	if host == "index.docker.io" {
		return []string{"https://index.docker.io/v1/", "docker.io", "index.docker.io"}
	}
	return []string{host}
}

// runHelper asks docker-credential-NAME, as
// https://github.com/docker/docker-credential-helpers describes.
func runHelper(ctx context.Context, helper, server string, p place) (credential, error) {
	program := "docker-credential-" + helper
	from := program + " (named in " + p.label + ")"
	if strings.ContainsAny(helper, `/\`) {
		return credential{}, fault.New(fault.Auth, "registry.credentials", p.label, "the credential helper %q is no plain name", helper)
	}
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(server)
	// stderr may hold secrets and is not shown; helpers report on stdout.
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		// The protocol has no code for "not found", only this sentence.
		if strings.Contains(out.String(), "credentials not found") {
			return credential{}, nil
		}
		return credential{}, fault.New(fault.Auth, "registry.credentials", from, "the helper for %s does not answer: %w", server, err).
			WithHint("run `echo %s | %s get` to see what is wrong with it", server, program)
	}
	var reply struct{ Username, Secret string }
	if err := json.Unmarshal(out.Bytes(), &reply); err != nil {
		return credential{}, fault.New(fault.Auth, "registry.credentials", from, "the helper's answer is not JSON")
	}
	if reply.Username == "<token>" {
		return credential{identityToken: reply.Secret, from: from}, nil
	}
	return credential{user: reply.Username, password: reply.Secret, from: from}, nil
}
