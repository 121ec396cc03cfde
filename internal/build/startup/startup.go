// Package startup looks up in a finished image what starts it: the program, its
// interpreter or dynamic linker, and the first file that a well-known program is
// given. An image that cannot start is found out where it is built, and not when its
// revision does not become ready.
package startup

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

// Open returns the uncompressed content of a layer.
type Open func(ctx context.Context, l v1.Layer) (io.ReadCloser, error)

// Check returns a *fault.Error of the kind Build when the image of a config could
// not start, and nil when it can or says itself that it is not to be started. cache
// is a folder in which it is remembered what layers hold, and which images have passed;
// "" remembers nothing.
func Check(ctx context.Context, config *v1.ConfigFile, layers []v1.Layer, open Open, cache string) error {
	command := slices.Concat(config.Config.Entrypoint, config.Config.Cmd)
	if len(command) == 0 {
		return nil
	}
	passed, err := passedFile(cache, config, layers)
	if err != nil {
		return err
	}
	if cache != "" {
		if _, err := sealed.Read(passed); err == nil {
			return nil
		}
	}
	if err := check(ctx, command, config, layers, open, cache); err != nil || cache == "" {
		return err
	}
	// What is not remembered is checked again.
	_ = sealed.Write(passed, nil)
	return nil
}

// passedFile is there when an image with this start and these layers has passed.
func passedFile(cache string, config *v1.ConfigFile, layers []v1.Layer) (string, error) {
	h := sha256.New()
	c := config.Config
	err := json.NewEncoder(h).Encode([]any{c.Entrypoint, c.Cmd, c.Env, c.WorkingDir, c.Volumes})
	for _, l := range layers {
		digest, digestErr := l.Digest()
		err = errors.Join(err, digestErr)
		fmt.Fprintln(h, digest)
	}
	return filepath.Join(passedFolder(cache), hex.EncodeToString(h.Sum(nil))), err
}

func check(ctx context.Context, command []string, config *v1.ConfigFile, layers []v1.Layer, open Open, cache string) error {
	t := &tree{}
	for _, l := range layers {
		files, err := layerFiles(ctx, l, open, cache)
		if err != nil {
			return err
		}
		t.layers = append(t.layers, files)
	}
	env := config.Config.Env
	c := &checker{tree: t, workingDir: cmp.Or(config.Config.WorkingDir, "/"), path: folders(cmp.Or(lang.Lookup(env, "PATH"), defaultPath)), pythonPath: folders(lang.Lookup(env, "PYTHONPATH"))}
	for volume := range config.Config.Volumes {
		c.volumes = append(c.volumes, volume)
	}
	return c.command(command, 0)
}

func folders(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ":"), func(s string) bool { return s == "" })
}

// format is part of the names in the cache. What is noted about files, and what an
// image has to pass, changes with it.
const format = "1"

// Folder returns where Check remembers what layers hold, below a cache folder.
func Folder(cache string) string { return filepath.Join(cache, "files-"+format) }

func passedFolder(cache string) string { return filepath.Join(cache, "starts-"+format) }

// Folders returns all folders that Check remembers something in.
func Folders(cache string) []string { return []string{Folder(cache), passedFolder(cache)} }

// layerFiles reads a layer, unless it is known from before what is in it.
func layerFiles(ctx context.Context, l v1.Layer, open Open, cache string) (map[string]entry, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	file := listingFile(cache, digest)
	if cache != "" {
		if files, err := readFiles(file); err == nil {
			return files, nil
		}
	}
	content, err := open(ctx, l)
	if err != nil {
		return nil, err
	}
	files, err := readLayer(ctx, content)
	if err = errors.Join(err, content.Close()); err != nil || cache == "" {
		return files, err
	}
	// What is not remembered is read again.
	_ = writeFiles(file, files)
	return files, nil
}

// Listing is what a layer holds, read before a Check needs it.
type Listing struct{ files map[string]entry }

// Read reads the tar of a layer.
func (l *Listing) Read(ctx context.Context, tar io.Reader) (err error) {
	l.files, err = readLayer(ctx, tar)
	return err
}

// Keep remembers in cache that the layer of a digest holds this.
func (l *Listing) Keep(cache string, digest v1.Hash) {
	// What is not remembered is read again.
	_ = writeFiles(listingFile(cache, digest), l.files)
}

// listingFile is where it is remembered what a layer holds.
func listingFile(cache string, digest v1.Hash) string {
	return filepath.Join(Folder(cache), digest.Hex+".json.gz")
}

func readFiles(file string) (map[string]entry, error) {
	raw, err := sealed.Read(file)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var files map[string]entry
	err = json.NewDecoder(r).Decode(&files)
	return files, err
}

func writeFiles(file string, files map[string]entry) error {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if err := errors.Join(json.NewEncoder(w).Encode(files), w.Close()); err != nil {
		return err
	}
	return sealed.Write(file, out.Bytes())
}
