package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
)

// DockerConfig is a docker config.json with the credentials for these
// references and no others, for a build that runs elsewhere. Each entry is for
// one repository where the format allows for it. It is nil when none of them has
// any.
func (c *Client) DockerConfig(ctx context.Context, refs ...string) ([]byte, error) {
	config := dockerConfig{Auths: map[string]authEntry{}}
	for _, text := range refs {
		ref, err := Parse(text)
		if err != nil {
			return nil, err
		}
		cred, err := c.creds.lookup(ctx, ref.Registry, ref.Repository)
		if err != nil {
			return nil, err
		}
		if cred.anonymous() {
			continue
		}
		entry := authEntry{
			Username: cred.user, Password: cred.password,
			IdentityToken: cred.identityToken, RegistryToken: cred.registryToken,
		}
		if cred.user != "" || cred.password != "" {
			// A kubelet reads the pair, podman only this.
			entry.Auth = base64.StdEncoding.EncodeToString([]byte(cred.user + ":" + cred.password))
		}
		key := ref.Registry + "/" + ref.Repository
		if keys := hostKeys(ref.Registry); len(keys) > 1 {
			key = keys[0] // Docker Hub's readers know its one name only
		}
		config.Auths[key] = entry
	}
	if len(config.Auths) == 0 {
		return nil, nil
	}
	return json.Marshal(config)
}

// IsLoopback tells whether a registry is on this machine by its name, so that
// nobody elsewhere means the same one by it. host may have a port.
func IsLoopback(host string) bool {
	name := hostname(host)
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
