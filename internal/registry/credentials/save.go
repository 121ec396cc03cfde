package credentials

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Save writes the credentials of host where docker login would: with the helper that
// the file names for host, else to the file itself. where names the place. A file that
// was there keeps everything else that is in it.
func (k *Keychain) Save(ctx context.Context, host, user, password string) (where string, err error) {
	p, config, err := k.writable()
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

// Remove deletes what Save has written for host. found is false when there was
// nothing; from is where it was.
func (k *Keychain) Remove(ctx context.Context, host string) (from string, found bool, err error) {
	p, config, err := k.writable()
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
			if cred.Anonymous() {
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

// writable returns the file that Save and Remove change: the first that counts. One
// that does not exist yet is empty.
func (k *Keychain) writable() (place, *dockerConfig, error) {
	places := k.places()
	if len(places) == 0 {
		return place{}, nil, fault.New(fault.Usage, "registry.credentials", "", "there is no home directory to keep credentials in").
			WithHint("name a file with {AuthFile}")
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
		err = os.MkdirAll(filepath.Dir(p.path), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(p.path, append(raw, '\n'), atomicfile.Options{FollowLink: true})
	}
	if err != nil {
		return &fault.Error{Op: "registry.credentials", Kind: fault.Failure, Subject: p.label, Err: err}
	}
	return nil
}

// Hosts returns the registries that Remove would find something for, sorted.
func (k *Keychain) Hosts() []string {
	_, config, err := k.writable()
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
