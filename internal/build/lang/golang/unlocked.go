package golang

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/modfile"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// unlocked says that there are no checksums of the modules that go.mod requires.
// A vendor folder or a workspace has its own.
func unlocked(p *lang.Project) *lang.Unlocked {
	root, err := moduleRoot(p.Dir)
	if err != nil || there(filepath.Join(root, "go.sum")) || there(filepath.Join(root, "vendor", "modules.txt")) {
		return nil
	}
	if goSettings(p.Environ)["GOWORK"] != "off" {
		if _, err := above(p.Dir, "go.work"); err == nil {
			return nil
		}
	}
	text, err := regular.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil // as the go command will say
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil || !slices.ContainsFunc(mod.Require, func(r *modfile.Require) bool { return !replacedByFolder(mod, r) }) {
		return nil
	}
	return &lang.Unlocked{Why: "there is no go.sum", Command: "go mod tidy"}
}

// replacedByFolder reports whether a requirement is met by a folder, which has no
// checksum.
func replacedByFolder(mod *modfile.File, r *modfile.Require) bool {
	return slices.ContainsFunc(mod.Replace, func(by *modfile.Replace) bool {
		return by.Old.Path == r.Mod.Path && by.New.Version == "" && (by.Old.Version == "" || by.Old.Version == r.Mod.Version)
	})
}

// lockElsewhere returns the arguments with which the go command takes checksums
// from its database and writes them into dir, not into the user's folder.
func lockElsewhere(p *lang.Project, dir string) ([]string, error) {
	root, err := moduleRoot(p.Dir)
	if err != nil {
		return nil, err
	}
	text, err := regular.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "go.mod")
	return []string{"-mod=mod", "-modfile=" + file}, os.WriteFile(file, text, 0o644)
}

func there(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}
