// Package credentials finds, saves and removes the credentials of registries in the
// files and with the helpers that docker and podman use: see
// https://docs.docker.com/reference/cli/docker/login/ and
// https://man.archlinux.org/man/containers-auth.json.5.
package credentials

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Credential is what a registry accepts. The zero value is anonymous.
type Credential struct {
	User, Password string
	IdentityToken  string // an OAuth2 refresh token, in place of a password
	RegistryToken  string // a bearer token to be sent as it is
	From           string // where it was found; never the secret
}

// Anonymous reports whether there is nothing to send.
func (c Credential) Anonymous() bool {
	return c.User == "" && c.Password == "" && c.IdentityToken == "" && c.RegistryToken == ""
}

// kind describes a credential without the secret.
func (c Credential) kind() string {
	switch {
	case c.RegistryToken != "":
		return "a bearer token"
	case c.IdentityToken != "":
		return "an identity token"
	}
	return `user "` + c.User + `" with a password`
}

// Keychain finds credentials where docker and podman store them. A file that
// somebody named, by flag or variable, is the only one read; otherwise the
// usual places are searched in order. (go-containerregistry's default keychain lets
// an existing ~/.docker/config.json hide REGISTRY_AUTH_FILE without a word.)
type Keychain struct {
	opts Options

	mu    sync.Mutex
	found map[string]Credential // by host
}

// Options say where a Keychain looks.
type Options struct {
	Env      func(string) string // must not be nil
	File     string              // docker config.json or podman auth.json to use instead of all others
	FileFrom string              // where File was named, for messages; "" leaves it out
	Configs  [][]byte            // contents of docker config.json files that come before all others; no helper in them is run
}

// New returns a Keychain that looks in the places of opts whenever it is asked.
func New(opts Options) *Keychain { return &Keychain{opts: opts} }

// place is a file that may hold credentials.
type place struct {
	path  string
	label string // as the user would say it
	named bool   // must exist
}

// places in the order in which they count.
func (k *Keychain) places() []place {
	if k.opts.File != "" {
		label := k.opts.File
		if k.opts.FileFrom != "" {
			label += " (" + k.opts.FileFrom + ")"
		}
		return []place{{k.opts.File, label, true}}
	}
	for _, variable := range []string{"KN_LITE_AUTHFILE", "REGISTRY_AUTH_FILE"} {
		if path := k.opts.Env(variable); path != "" {
			return []place{{path, path + " ($" + variable + ")", variable == "KN_LITE_AUTHFILE"}}
		}
	}
	if dir := k.opts.Env("DOCKER_CONFIG"); dir != "" {
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
	home := k.opts.Env("HOME")
	if home == "" {
		home = k.opts.Env("USERPROFILE")
	}
	add(home, ".docker", "config.json")
	add(k.opts.Env("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if config := k.opts.Env("XDG_CONFIG_HOME"); config != "" {
		add(config, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	return out
}

// Describe says which credentials are in use for host, or where none were.
func (k *Keychain) Describe(host string) string {
	k.mu.Lock()
	cred, ok := k.found[host]
	k.mu.Unlock()
	if ok && !cred.Anonymous() {
		who := ""
		if cred.User != "" && cred.IdentityToken == "" {
			who = " for user " + `"` + cred.User + `"`
		}
		return "used the credentials" + who + " from " + cred.From
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

// Lookup finds the credentials for a repository; anonymous is no error, a file
// that cannot be read or a helper that breaks is.
func (k *Keychain) Lookup(ctx context.Context, host, repository string) (Credential, error) {
	cred, err := k.given(ctx, host, repository)
	if err == nil && cred.Anonymous() {
		_, cred, err = k.Trace(ctx, host, repository)
	}
	if err != nil {
		return Credential{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.found == nil {
		k.found = map[string]Credential{}
	}
	k.found[host] = cred
	return cred, nil
}

// given looks in what came with the options: whoever has made that must not choose
// programs of this machine to run.
func (k *Keychain) given(ctx context.Context, host, repository string) (Credential, error) {
	p := place{label: "the pull secrets"}
	for _, raw := range k.opts.Configs {
		var config dockerConfig
		if err := json.Unmarshal(raw, &config); err != nil {
			return Credential{}, fault.New(fault.Auth, "registry.credentials", p.label, "%w", err).
				WithHint("a pull secret must hold what `docker login` writes, under .dockerconfigjson")
		}
		config.CredsStore, config.CredHelpers = "", nil
		cred, err := config.credential(ctx, p, host, repository)
		if err != nil || !cred.Anonymous() {
			return cred, err
		}
	}
	return Credential{}, nil
}

// Source is a place where credentials could have been.
type Source struct {
	Place string `json:"place"`
	Found string `json:"found"` // what was there, never a secret
}

// Trace does what Lookup does in files, and reports each place that it looked in, up
// to the one that has credentials.
func (k *Keychain) Trace(ctx context.Context, host, repository string) (sources []Source, cred Credential, err error) {
	for _, p := range k.places() {
		config, err := readDockerConfig(p)
		if err != nil {
			return sources, Credential{}, err
		}
		said := Source{Place: p.label, Found: "no such file"}
		cred = Credential{}
		if config != nil {
			if cred, err = config.credential(ctx, p, host, repository); err != nil {
				return sources, Credential{}, err
			}
			said.Found = "nothing for " + host
			if helper := config.helperFor(host); helper != "" {
				said.Found += ", nor with docker-credential-" + helper
			}
		}
		if !cred.Anonymous() {
			said.Found = cred.kind()
			sources = append(sources, said)
			return sources, cred, nil
		}
		sources = append(sources, said)
	}
	return sources, Credential{}, nil
}
