// Package bases makes base images for tests and the demo from Debian packages,
// since a test must not pull from a public registry: no container engine, and
// no network beyond the package mirror that apt is set up with. It needs apt-get,
// apt-cache and dpkg-deb, and no root.
package bases

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// Index makes the base of a language for several architectures, in Debian's
// names, which are Go's for amd64 and arm64. The first call downloads about 30 MB
// of packages for each and takes half a minute; later ones find the result in
// cacheDir.
func Index(ctx context.Context, language, cacheDir string, archs ...string) (v1.ImageIndex, error) {
	r, err := recipeOf(language)
	if err != nil {
		return nil, err
	}
	var index v1.ImageIndex = empty.Index
	for _, arch := range archs {
		base, err := image(ctx, cacheDir, r, arch)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: base, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return index, nil
}

// Languages are those whose images kn-lite makes on a base by itself; "ruby" is
// for Dockerfiles.
func Languages() []string { return []string{"java", "node", "python"} }

func recipeOf(language string) (recipe, error) {
	switch language {
	case "java": // like docker.io/library/eclipse-temurin:17-jre, with Debian's OpenJDK
		return recipe{
			name: "test base: java 2", packages: []string{"openjdk-17-jre-headless"}, command: "java",
			env: []string{"JAVA_VERSION=17"},
			// As the maintainer script has it.
			links: map[string]string{"usr/bin/java": "../lib/jvm/java-17-openjdk-ARCH/bin/java"},
		}, nil
	case "node": // like docker.io/library/node:slim: Debian's Node.js, a shell and coreutils
		return recipe{name: "test base: node 2", packages: []string{"nodejs"}, command: "node"}, nil
	case "python": // like docker.io/library/python:slim, with its time zones, and the C++ library, which wheels expect
		return recipe{
			name: "test base: python 3", packages: []string{"python3", "libstdc++6", "tzdata"}, command: "python3",
			env: []string{"PYTHON_VERSION=3.11.2"},
		}, nil
	case "ruby": // like docker.io/library/ruby, with Debian's Rails in place of a way to rubygems.org
		return recipe{
			name: "test base: ruby 1", packages: []string{"ruby", "bundler", "puma", "ruby-rails", "tzdata"}, command: "irb",
			env: []string{"BUNDLE_APP_CONFIG=/usr/local/bundle"},
			// What is in this folder counts more than variables do.
			files: map[string]string{"usr/local/bundle/config": "---\nBUNDLE_PATH__SYSTEM: \"true\"\nBUNDLE_DEPLOYMENT: \"false\"\n"},
		}, nil
	}
	return recipe{}, fmt.Errorf("there is no base for %q", language)
}

// recipe is what a base is made of. Another name makes it anew.
type recipe struct {
	name     string
	packages []string // beside a shell and coreutils
	command  string
	env      []string
	links    map[string]string // more links; ARCH stands for the architecture
	files    map[string]string // more files
}

func image(ctx context.Context, cacheDir string, r recipe, arch string) (v1.Image, error) {
	store, err := layer.Open(cacheDir, nil)
	if err != nil {
		return nil, err
	}
	epoch, name := time.Unix(0, 0), r.name+" "+arch
	content, ok := store.Find(name, epoch)
	if !ok {
		files, err := debian(ctx, arch, append(r.packages, "dash", "coreutils", "base-passwd")...)
		if err != nil {
			return nil, err
		}
		for at, target := range r.links {
			files = append(files, layer.Symlink(at, strings.ReplaceAll(target, "ARCH", arch)))
		}
		for at, text := range r.files {
			files = append(files, layer.Dir(path.Dir(at), 0o755), layer.Bytes(at, 0o644, []byte(text)))
		}
		if content, _, err = store.Write(ctx, files, epoch); err != nil {
			return nil, err
		}
		if err := store.Remember(name, epoch, content); err != nil {
			return nil, err
		}
	}
	// Docker's media types, as the images of Docker Hub have them.
	base, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer: content, MediaType: types.DockerLayer,
		History: v1.History{Created: v1.Time{Time: epoch.UTC()}, CreatedBy: "test/bases"},
	})
	if err != nil {
		return nil, err
	}
	config, err := base.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Created = v1.Time{Time: epoch.UTC()}
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	config.Config.Env = append(config.Config.Env, r.env...)
	config.Config.Cmd = []string{r.command}
	return mutate.ConfigFile(base, config)
}

// Push writes an image or an index to ref, a registry on loopback.
func Push(ctx context.Context, base registry.Artifact, ref string) error {
	client, err := registry.New(registry.Options{
		// Credentials are nobody's business here, and the client speaks plain
		// HTTP to loopback only.
		Env: func(string) string { return "" },
	})
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Push(ctx, base, ref)
	return err
}
