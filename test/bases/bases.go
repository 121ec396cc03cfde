// Package bases makes base images for tests and the demo from Debian packages,
// since a test must not pull from a public registry: no container engine, and
// no network beyond the package mirror that apt is set up with. It needs apt-get,
// apt-cache and dpkg-deb, and no root.
package bases

import (
	"context"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// recipe names what the base is made of; another text makes it anew.
const recipe = "test base: node 2"

// Node is an image like docker.io/library/node:slim: Debian's Node.js, a shell
// and coreutils. The first call downloads about 30 MB of packages and takes
// half a minute; later ones find the result in cacheDir.
func Node(ctx context.Context, cacheDir string) (v1.Image, error) {
	store, err := layer.Open(cacheDir, nil)
	if err != nil {
		return nil, err
	}
	epoch := time.Unix(0, 0)
	content, ok := store.Find(recipe, epoch)
	if !ok {
		files, err := debian(ctx, "nodejs", "dash", "coreutils", "base-passwd")
		if err != nil {
			return nil, err
		}
		if content, _, err = store.Write(ctx, files, epoch); err != nil {
			return nil, err
		}
		if err := store.Remember(recipe, epoch, content); err != nil {
			return nil, err
		}
	}
	// Docker's media types, as the images of Docker Hub have them.
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer: content, MediaType: types.DockerLayer,
		History: v1.History{Created: v1.Time{Time: epoch.UTC()}, CreatedBy: "test/bases"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Created = v1.Time{Time: epoch.UTC()}
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	config.Config.Cmd = []string{"node"}
	return mutate.ConfigFile(image, config)
}

// Push writes image to ref, a registry on loopback.
func Push(ctx context.Context, image v1.Image, ref string) error {
	client, err := registry.New(registry.Options{
		// Credentials are nobody's business here, and the client speaks plain
		// HTTP to loopback only.
		Env: func(string) string { return "" },
	})
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Push(ctx, image, ref)
	return err
}
