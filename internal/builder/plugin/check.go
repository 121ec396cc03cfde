package plugin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Finding is what one check of a plugin has found.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // why not, or what was seen
}

// interruptAfter is when a build is interrupted that is to be.
const interruptAfter = 300 * time.Millisecond

// unknownProtocol is offered to see what a plugin makes of a later kn-lite.
const unknownProtocol = 1 << 20

// CheckContract tries whether the plugin keeps to the contract, with the project that r
// names: it has to be one that the plugin can build. found hears of each check.
func (b *Builder) CheckContract(ctx context.Context, r builder.Request, found func(Finding)) error {
	c := &contract{b: b, request: r}
	for _, check := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"builds the project, and keeps to its folder", c.builds},
		{"ignores what it does not know, and builds the same from a copy elsewhere", c.buildsAgain},
		{"refuses a protocol that it does not speak, with exit code 3", c.refusesProtocol},
		{"refuses a platform that it does not know", c.refusesPlatform},
		{"ends with all that it has started when it is asked to", c.ends},
	} {
		detail, err := check.run(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f := Finding{Name: check.name, OK: err == nil, Detail: detail}
		if err != nil {
			f.Detail = err.Error()
		}
		found(f)
	}
	return nil
}

type contract struct {
	b       *Builder
	request builder.Request
	digest  v1.Hash
}

// build runs the plugin and returns the digest of what it has built.
func (c *contract) build(ctx context.Context, r builder.Request, edit func(*message)) (v1.Hash, error) {
	w, err := openWork(r.CacheDir, c.b.found.Name, c.b.host.Now())
	if err != nil {
		return v1.Hash{}, err
	}
	made, err := c.b.build(ctx, r, w, edit)
	if err = errors.Join(err, w.close()); err != nil {
		return v1.Hash{}, err
	}
	return made.Digest, nil
}

func (c *contract) builds(ctx context.Context) (string, error) {
	var err error
	c.digest, err = c.build(ctx, c.request, nil)
	return c.digest.String(), err
}

func (c *contract) buildsAgain(ctx context.Context) (string, error) {
	if c.digest == (v1.Hash{}) {
		return "", errors.New("the first build failed")
	}
	dir, err := os.MkdirTemp("", "kn-lite-check-*")
	if err != nil {
		return "", err
	}
	r := c.request
	r.Dir = filepath.Join(dir, "a copy")
	digest := v1.Hash{}
	if err = copyTree(c.request.Dir, r.Dir); err == nil {
		digest, err = c.build(ctx, r, func(m *message) { m.Unknown = "of a later kn-lite" })
	}
	if err = errors.Join(err, removeAll(dir)); err != nil {
		return "", err
	}
	if digest != c.digest {
		return "", fmt.Errorf("the first build gave %s, the second %s: are there times, paths or an order of files in the image?", c.digest, digest)
	}
	return "", nil
}

func (c *contract) refusesProtocol(ctx context.Context) (string, error) {
	_, err := c.build(ctx, c.request, func(m *message) { m.Protocol, m.Protocols = unknownProtocol, []int{unknownProtocol} })
	if err == nil {
		return "", errors.New("it built")
	}
	if fault.KindOf(err) != fault.Conflict {
		return "", fmt.Errorf("it ended in another way: %w", err)
	}
	return "", nil
}

func (c *contract) refusesPlatform(ctx context.Context) (string, error) {
	r := c.request
	r.Platforms = []v1.Platform{{OS: "linux", Architecture: "unheardof"}}
	_, err := c.build(ctx, r, nil)
	switch {
	case err == nil:
		return "", errors.New("it built an image that claims to be for linux/unheardof")
	case fault.KindOf(err) == fault.Usage:
		return "", nil
	}
	return "", fmt.Errorf("it has to end with exit code %d: %w", exitUnfit, err)
}

// ends interrupts a build.
func (c *contract) ends(ctx context.Context) (string, error) {
	w, err := openWork(c.request.CacheDir, c.b.found.Name, c.b.host.Now())
	if err != nil {
		return "", err
	}
	input, err := c.b.message(c.request, w)
	if err != nil {
		return "", errors.Join(err, w.close())
	}
	limits := c.b.limits
	limits.Timeout = interruptAfter
	run := &call{found: c.b.found, limits: limits, work: w, report: c.request.Reporter(), env: environment(c.request.Environ, input)}
	e, err := run.run(ctx, input)
	if err == nil {
		e.events.Close(false)
	}
	if err = errors.Join(err, w.close()); err != nil {
		return "", err
	}
	switch {
	case e.cause == nil:
		return fmt.Sprintf("not tried: it was done within %s", interruptAfter), nil
	case e.killed:
		return "", fmt.Errorf("it went on for %s after SIGTERM and was killed", limits.Grace)
	case len(e.left) > 0:
		return "", fmt.Errorf("it left processes running: %v", e.left)
	}
	return "", nil
}

// copyTree copies folders, regular files and links.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch {
		case e.IsDir() && (rel == ".git" || rel == ".kn-lite"):
			return fs.SkipDir
		case e.IsDir():
			return os.MkdirAll(at, 0o755)
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(target, at)
		case !e.Type().IsRegular():
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		raw, err := regular.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(at, raw, info.Mode().Perm())
	})
}
