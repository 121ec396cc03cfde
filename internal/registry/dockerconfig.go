package registry

import (
	"context"

	"github.com/kn-lite/kn-lite/internal/registry/credentials"
)

// DockerConfig is a docker config.json with the credentials for these
// references and no others, for a build that runs elsewhere. Each entry is for
// one repository where the format allows for it. It is nil when none of them has
// any.
func (c *Client) DockerConfig(ctx context.Context, refs ...string) ([]byte, error) {
	var entries []credentials.Entry
	for _, text := range refs {
		ref, err := Parse(text)
		if err != nil {
			return nil, err
		}
		cred, err := c.creds.Lookup(ctx, ref.Registry, ref.Repository)
		if err != nil {
			return nil, err
		}
		if !cred.Anonymous() {
			entries = append(entries, credentials.Entry{Host: ref.Registry, Repository: ref.Repository, Credential: cred})
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	return credentials.Marshal(entries)
}
