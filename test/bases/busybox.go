package bases

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// applets are the programs that the busybox base has names for.
const applets = "[ adduser addgroup ash awk basename cat chgrp chmod chown cp cut date dd df dirname du echo env expr false find grep gunzip gzip head hostname id install kill ln ls md5sum mkdir mkfifo mknod mktemp mount mv nslookup ping printf ps pwd readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat su tail tar tee test touch tr true umount uname uniq unshare wc wget which whoami xargs"

// Busybox is an image like docker.io/library/busybox: Debian's busybox-static,
// two users and a few folders.
func Busybox(ctx context.Context, cacheDir string) (v1.Image, error) {
	const recipe = "test base: busybox 1"
	store, err := layer.Open(cacheDir, nil)
	if err != nil {
		return nil, err
	}
	epoch := time.Unix(0, 0)
	content, ok := store.Find(recipe, epoch)
	if !ok {
		files, err := busyboxFiles(ctx)
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
	image, err := mutate.Append(empty.Image, mutate.Addendum{Layer: content, MediaType: types.DockerLayer})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	config.Config.Cmd = []string{"sh"}
	return mutate.ConfigFile(image, config)
}

func busyboxFiles(ctx context.Context) ([]layer.File, error) {
	packages, err := debian(ctx, "amd64", "busybox-static")
	if err != nil {
		return nil, err
	}
	var files []layer.File
	for _, f := range packages {
		if f.Path == "usr/bin/busybox" {
			f.Path = "bin/busybox"
			files = append(files, f)
		}
	}
	if len(files) != 1 {
		return nil, errors.New("the package busybox-static has no /bin/busybox")
	}
	for name := range strings.FieldsSeq(applets) {
		files = append(files, layer.Symlink("bin/"+name, "busybox"))
	}
	return append(files,
		layer.Bytes("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")),
		layer.Bytes("etc/group", 0o644, []byte("root:x:0:\napp:x:1000:\nextra:x:2000:app\nnogroup:x:65534:\n")),
		layer.Dir("root", 0o700), layer.Dir("tmp", fs.ModeSticky|0o777), layer.Dir("var", 0o755), layer.Dir("home", 0o755),
		layer.Symlink("var/run", "/run"), layer.Dir("run", 0o755),
	), nil
}
