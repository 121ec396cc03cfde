package credentials

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

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

func (d *dockerConfig) credential(ctx context.Context, p place, host, repository string) (Credential, error) {
	for _, key := range hostKeys(host) {
		if helper := d.CredHelpers[key]; helper != "" {
			return runHelper(ctx, helper, key, p)
		}
	}
	if d.CredsStore != "" {
		for _, key := range hostKeys(host) {
			cred, err := runHelper(ctx, d.CredsStore, key, p)
			if err != nil || !cred.Anonymous() {
				return cred, err
			}
		}
	}
	entry, ok := d.entry(host, repository)
	if !ok {
		return Credential{}, nil
	}
	cred := Credential{User: entry.Username, Password: entry.Password, IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken, From: p.label}
	if entry.Auth != "" {
		decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
		user, password, ok := strings.Cut(string(decoded), ":")
		if err != nil || !ok {
			return Credential{}, fault.New(fault.Auth, "registry.credentials", p.label, "the auth entry for %s is not the base64 of user:password", host)
		}
		// docker pads old entries with NUL bytes.
		cred.User, cred.Password = user, strings.TrimRight(password, "\x00")
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
	// Entries may be written as URLs: https://registry.example/v1/. Of several the same one
	// counts each time.
	for _, scheme := range []string{"https://", "http://"} {
		for _, key := range slices.Sorted(maps.Keys(d.Auths)) {
			at, isURL := strings.CutPrefix(key, scheme)
			if at, _, _ = strings.Cut(at, "/"); isURL && at == host {
				return d.Auths[key], true
			}
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

// Entry is a credential and what it is for: one repository, or a whole host where
// Repository is "".
type Entry struct {
	Host, Repository string
	Credential
}

// Marshal returns a docker config.json that has these entries.
func Marshal(entries []Entry) ([]byte, error) {
	config := dockerConfig{Auths: map[string]authEntry{}}
	for _, e := range entries {
		entry := authEntry{Username: e.User, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken}
		if e.User != "" || e.Password != "" {
			// A kubelet reads the pair, podman only this.
			entry.Auth = base64.StdEncoding.EncodeToString([]byte(e.User + ":" + e.Password))
		}
		keys := hostKeys(e.Host)
		key := keys[0]
		if len(keys) == 1 && e.Repository != "" { // Docker Hub's readers know its one name only
			key = e.Host + "/" + e.Repository
		}
		config.Auths[key] = entry
	}
	return json.Marshal(config)
}
