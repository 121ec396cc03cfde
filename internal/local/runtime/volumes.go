package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// mounts are those of a container: the files that describe the pod, and volumes.
func (g *group) mounts(c pod.Container) ([]sandbox.Mount, error) {
	file := func(name, content string) sandbox.Mount {
		return sandbox.Mount{Target: name, Content: []byte(content), Mode: 0o644}
	}
	out := []sandbox.Mount{
		file("/etc/hostname", g.hostname+"\n"),
		file("/etc/hosts", fmt.Sprintf("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\t%s\n", g.hostname)),
		file("/etc/resolv.conf", g.resolvers()),
	}
	for _, m := range c.Mounts {
		if !filepath.IsAbs(m.Target) {
			return nil, fault.New(fault.Build, "local.start", c.Name, "mount path %q is not absolute", m.Target)
		}
		mount := sandbox.Mount{Target: filepath.Clean(m.Target), Source: m.Source, ReadOnly: m.ReadOnly}
		if m.SubPath != "" {
			isFile, err := g.subPath(m)
			if err != nil {
				return nil, fault.New(fault.Build, "local.start", c.Name, "subPath %q: %w", m.SubPath, err)
			}
			mount.Sub, mount.File = "/"+m.SubPath, isFile
		}
		out = append(out, mount)
	}
	return out, nil
}

// resolvers is the pod's resolv.conf.
func (g *group) resolvers() string {
	text := "nameserver 127.0.0.1\noptions ndots:5\n"
	if search := g.r.options.Network.search(g.namespace); len(search) > 0 {
		text = "search " + strings.Join(search, " ") + "\n" + text
	}
	return text
}

// subPath reports whether a part of a volume is a file; a folder is made where
// there is nothing. What is in a volume is not trusted.
func (g *group) subPath(m pod.Mount) (isFile bool, err error) {
	root, err := os.OpenRoot(m.Source)
	if err != nil {
		return false, err
	}
	defer root.Close()
	info, err := root.Stat(m.SubPath)
	if errors.Is(err, fs.ErrNotExist) {
		if err = root.MkdirAll(m.SubPath, 0o755); err == nil {
			err = g.ownAll(root, strings.Split(filepath.Clean(m.SubPath), "/")[0], -1)
		}
		return false, err
	}
	return err == nil && !info.IsDir(), err
}

// Own gives what is in a volume to the containers' root.
func (g *group) Own(_ context.Context, dir string, group int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return g.ownAll(root, ".", int(group))
}
