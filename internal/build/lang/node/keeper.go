package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const modules = "node_modules"

// keeper keeps the dependencies of a project's last build script, one set for
// each project: an edit of the code does not install them again.
type keeper struct {
	place string // folder in the cache
	key   string // of what npm was given; "" keeps nothing
}

func (t *transpile) keeper(scratch string) keeper {
	sum := sha256.Sum256([]byte(t.project.Dir))
	k := keeper{place: filepath.Join(scratch, "dev-"+hex.EncodeToString(sum[:8]))}
	// Scripts around the installation may read the project's own files.
	for _, script := range []string{"preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare"} {
		if t.found.manifest.Scripts[script] != "" {
			return k
		}
	}
	if t.found.lockName == "" || t.found.manager.name != "npm" || len(t.found.settings) > 0 {
		return k // others keep their own store, and workspaces have more than one folder
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s%d:%s%d:%s", t.version, len(t.found.manifestRaw), t.found.manifestRaw, len(t.found.lockRaw), t.found.lockRaw)
	h.Write(t.found.npmrc)
	k.key = hex.EncodeToString(h.Sum(nil))
	return k
}

// take moves the dependencies to into, if they are still the right ones. Taken by
// a rename, they cannot be shared by two builds at once.
func (k keeper) take(into string) (bool, error) {
	if k.key == "" {
		return false, nil
	}
	// The key is part of the name, so that a set without its key cannot be.
	err := os.Rename(filepath.Join(k.place, k.key), into)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// giveBack keeps the dependencies for the next build, in place of any other.
func (k keeper) giveBack(from string) error {
	if _, err := os.Lstat(from); k.key == "" || errors.Is(err, fs.ErrNotExist) {
		return nil // there is nothing to keep
	}
	// What build tools remember there is not what npm has installed.
	if err := errors.Join(os.RemoveAll(filepath.Join(from, ".cache")), os.RemoveAll(k.place), os.MkdirAll(k.place, 0o755)); err != nil {
		return err
	}
	err := os.Rename(from, filepath.Join(k.place, k.key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return nil // another build at once has kept its own
	}
	return err
}
