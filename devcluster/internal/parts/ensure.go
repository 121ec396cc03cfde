package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/images"
)

// Ensure compiles whatever of the set is missing in cache and returns it.
// cache is a directory, made when absent; log receives progress for a person,
// in plain lines. What is there is found by the content of the module's source,
// so a complete cache returns in a few milliseconds and a changed source is
// compiled anew. Two callers at once share one compile.
func Ensure(ctx context.Context, cache string, log io.Writer) (Set, error) {
	workdir, err := os.Getwd()
	if err != nil {
		workdir = "" // removed under our feet: the other places may still do
	}
	source, err := Source(os.Getenv(SourceVariable), workdir)
	if err != nil {
		return Set{}, err
	}
	cache, err = filepath.Abs(cache)
	if err != nil {
		return Set{}, err
	}
	c := &compiler{source: source, log: log, now: time.Now, every: 10 * time.Second}
	return ensure(ctx, c, cache)
}

// stage is one half of the set: it has a key, a folder in the cache named after
// it, commands to compile, and a way to make the folder from the programs.
type stage struct {
	kind     string
	key      string
	commands []string
	finish   func(ctx context.Context, programs, dir string) error
}

func (s stage) dir(cache string) string { return filepath.Join(cache, s.kind, s.key) }

func (s stage) ready(cache string) bool {
	_, err := os.Stat(s.dir(cache))
	return err == nil
}

func ensure(ctx context.Context, c *compiler, cache string) (Set, error) {
	stages, err := c.stages()
	if err != nil {
		return Set{}, err
	}
	if !allReady(stages, cache) {
		if err := makeMissing(ctx, c, cache, stages); err != nil {
			return Set{}, err
		}
	}
	for _, s := range stages {
		now := c.now() // prune goes by the time of last use; a read-only cache has nothing to prune
		_ = os.Chtimes(s.dir(cache), now, now)
	}
	return open(stages[0].dir(cache), stages[1].dir(cache))
}

func allReady(stages []stage, cache string) bool {
	for _, s := range stages {
		if !s.ready(cache) {
			return false
		}
	}
	return true
}

func (c *compiler) stages() ([]stage, error) {
	flags := strings.Join(buildFlags(), " ")
	common := []string{flags, runtime.Version(), runtime.GOARCH}
	nodeKey, err := key(c.source, []string{"cmd/devcluster-node", "internal/registry"}, common...)
	if err != nil {
		return nil, &fault.Error{Op: "read source", Subject: c.source, Err: err}
	}
	// The host's certificate authorities become part of the images.
	imagesKey, err := key(c.source, []string{"cmd/devcluster-pause", "internal/images"}, append(common, string(hostRoots()))...)
	if err != nil {
		return nil, &fault.Error{Op: "read source", Subject: c.source, Err: err}
	}
	var commands []string
	for _, spec := range imageSpecs() {
		commands = append(commands, spec.pkg)
	}
	return []stage{
		{kind: "node", key: nodeKey, commands: []string{Module + "/cmd/devcluster-node"}, finish: finishNode},
		{kind: "images", key: imagesKey, commands: commands, finish: c.finishImages},
	}, nil
}

// makeMissing compiles all missing stages with one `go build`, so that the
// packages they share and both processors are used well.
func makeMissing(ctx context.Context, c *compiler, cache string, stages []stage) (err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return &fault.Error{Op: "make cache", Subject: cache, Err: err}
	}
	unlock, err := lock(ctx, filepath.Join(cache, "lock"), c.log)
	if err != nil {
		return err
	}
	defer unlock()
	var missing []stage
	var commands []string
	for _, s := range stages {
		if !s.ready(cache) { // asked again: the lock's former holder may have made it
			missing = append(missing, s)
			commands = append(commands, s.commands...)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	work, err := os.MkdirTemp(cache, "work-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	programs := filepath.Join(work, "programs")
	if err := os.Mkdir(programs, 0o755); err != nil {
		return err
	}
	if err := c.build(ctx, programs, commands); err != nil {
		return err
	}
	for _, s := range missing {
		started := c.now()
		dir := filepath.Join(work, s.kind)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := s.finish(ctx, programs, dir); err != nil {
			return &fault.Error{Op: "make " + s.kind, Subject: dir, Err: err}
		}
		if err := os.MkdirAll(filepath.Dir(s.dir(cache)), 0o755); err != nil {
			return err
		}
		// The rename is what makes it ready: no reader sees half of it.
		if err := os.Rename(dir, s.dir(cache)); err != nil {
			return err
		}
		c.say("%s ready (%s)", s.kind, c.now().Sub(started).Round(100*time.Millisecond))
		if err := prune(filepath.Join(cache, s.kind), s.key); err != nil {
			c.say("old files stay in the cache: %v", err)
		}
	}
	return nil
}

// prune keeps the folder named current and the two others that were used last:
// a cluster that still runs from one of them may have to restart a program.
func prune(dir, current string) error {
	const others = 2
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	used := map[string]time.Time{}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != current {
			used[e.Name()] = info.ModTime()
		}
	}
	names := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for _, name := range names[min(others, len(names)):] {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
	}
	return err
}

func finishNode(_ context.Context, programs, dir string) error {
	return os.Rename(filepath.Join(programs, "devcluster-node"), filepath.Join(dir, "devcluster-node"))
}

func (c *compiler) finishImages(ctx context.Context, programs, dir string) error {
	roots := hostRoots()
	for _, spec := range imageSpecs() {
		img, err := images.Build(images.Program{
			Name: spec.program(), Binary: filepath.Join(programs, spec.program()),
			Roots: roots, OS: "linux", Arch: runtime.GOARCH,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", spec.name, err)
		}
		if _, err := images.Save(img, filepath.Join(dir, "layouts", filepath.FromSlash(spec.name))); err != nil {
			return fmt.Errorf("%s: %w", spec.name, err)
		}
	}
	return c.copyManifests(ctx, filepath.Join(dir, "manifests"))
}

// open lists what is in the two folders.
func open(node, imageDir string) (Set, error) {
	bin := filepath.Join(node, "devcluster-node")
	set := Set{Node: bin, Traefik: bin, Manifests: filepath.Join(imageDir, "manifests")}
	for _, spec := range imageSpecs() {
		dir := filepath.Join(imageDir, "layouts", filepath.FromSlash(spec.name))
		img, err := images.Load(dir)
		if err != nil {
			return Set{}, damaged(imageDir, err)
		}
		digest, err := img.Digest()
		if err != nil {
			return Set{}, damaged(imageDir, err)
		}
		set.Images = append(set.Images, Image{Name: spec.name, Layout: dir, Digest: digest.String()})
	}
	if _, err := os.Stat(bin); err != nil {
		return Set{}, damaged(node, err)
	}
	return set, nil
}

func damaged(dir string, err error) error {
	return &fault.Error{Op: "read cache", Subject: dir, Err: err, Hint: "remove the folder; it is made again"}
}

// hostRoots is the host's bundle of certificate authorities, or nothing: the
// programs of a closed cluster verify only each other.
func hostRoots() []byte {
	for _, file := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"} {
		if data, err := os.ReadFile(file); err == nil {
			return data
		}
	}
	return nil
}
