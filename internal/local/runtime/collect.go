package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// Collect removes the files of images but for those that used reports by their digest,
// that containers run on. While one is on its way it does nothing.
func (r *Runtime) Collect(ctx context.Context, used func(digest string) bool) error {
	return r.images.collect(ctx, used)
}

func (i *images) collect(ctx context.Context, used func(digest string) bool) error {
	if !i.collecting.TryLock() {
		return nil // something is on its way, and nobody is to wait for that
	}
	defer i.collecting.Unlock()
	entries, err := os.ReadDir(i.files.configs())
	if err != nil {
		return err
	}
	names := map[string]bool{}
	var errs []error
	for _, e := range entries {
		file := filepath.Join(i.files.configs(), e.Name())
		var known unpacked
		raw, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(raw, &known)
		}
		_, digest, _ := strings.Cut(known.Image.Ref, "@")
		if err == nil && (used(digest) || i.running(known.Image.Ref)) {
			names[known.Files] = true
			continue
		}
		i.mutex.Lock()
		delete(i.ready, known.Image.Ref)
		i.mutex.Unlock()
		errs = append(errs, os.Remove(file))
	}
	return errors.Join(append(errs, i.files.keep(ctx, names))...)
}

// use notes that a container runs on an image, until the function that it returns is
// called. It is nil for an image that was not pulled.
func (i *images) use(ref string) (*unpacked, func()) {
	i.collecting.RLock()
	defer i.collecting.RUnlock()
	image := i.find(ref)
	if image == nil {
		return nil, nil
	}
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.users[ref]++
	return image, func() {
		i.mutex.Lock()
		defer i.mutex.Unlock()
		if i.users[ref]--; i.users[ref] == 0 {
			delete(i.users, ref)
		}
	}
}

// run starts a container, whose image stays while it runs.
func (i *images) run(c pod.Container, start func(*unpacked) (*sandbox.Process, error)) (pod.Process, error) {
	image, done := i.use(c.Image.Ref)
	if image == nil {
		return nil, notPulled(c)
	}
	p, err := start(image)
	if err != nil {
		done()
		return nil, err
	}
	go func() {
		<-p.Done()
		done()
	}()
	return &process{p}, nil
}

func (i *images) running(ref string) bool {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.users[ref] > 0
}
