package cargo

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kn-lite/kn-lite/internal/regular"
)

// workspaceRoot is the folder of the workspace that the package in dir belongs
// to, where Cargo.lock stands; dir itself without one.
func workspaceRoot(dir string, m *manifest) (string, error) {
	if m.Workspace != nil {
		return dir, nil
	}
	if m.Package.Workspace != "" {
		return filepath.Join(dir, filepath.FromSlash(m.Package.Workspace)), nil
	}
	for at := filepath.Dir(dir); ; at = filepath.Dir(at) {
		above, err := readManifest(at)
		switch {
		case err == nil && above.Workspace != nil && !excluded(at, above, dir):
			return at, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
			return "", err
		}
		if at == filepath.Dir(at) {
			return dir, nil
		}
	}
}

// Below reports whether at is top or stands in it.
func Below(top, at string) bool {
	rel, err := filepath.Rel(top, at)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Outside are the folders out of the workspace that its manifests lead to.
func Outside(root string) []string {
	var out, seen []string
	var look func(dir string)
	look = func(dir string) {
		if slices.Contains(seen, dir) {
			return
		}
		seen = append(seen, dir)
		raw, err := regular.ReadFile(filepath.Join(dir, ManifestFile))
		values := map[string]any{}
		if err != nil || toml.Unmarshal(raw, &values) != nil {
			return // as cargo will say
		}
		if dir != root && !Below(root, dir) {
			out = append(out, dir)
		}
		for _, name := range paths(values) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(dir, filepath.FromSlash(name))
			}
			look(filepath.Clean(name))
		}
		if m, err := readManifest(dir); err == nil && m.Workspace != nil {
			for _, member := range members(dir, m) {
				look(member)
			}
		}
	}
	look(root)
	slices.Sort(out)
	return out
}

// paths are the folders that the dependencies and patches of a manifest name.
func paths(values map[string]any) []string {
	var out []string
	for name, value := range values {
		if name == "bin" || name == "lib" || name == "example" || name == "test" || name == "bench" {
			continue // their paths are of files
		}
		table, ok := value.(map[string]any)
		if !ok {
			continue
		}
		if at, ok := table["path"].(string); ok {
			out = append(out, at)
		}
		out = append(out, paths(table)...)
	}
	return out
}

// Checksums are what Cargo.lock says about the packages of registries:
// NAME@VERSION → SHA-256.
func Checksums(root string) (map[string]string, error) {
	raw, err := regular.ReadFile(filepath.Join(root, LockFile))
	if err != nil {
		return nil, err
	}
	var lock struct {
		Package []struct{ Name, Version, Checksum string }
	}
	if err := toml.Unmarshal(raw, &lock); err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, p := range lock.Package {
		sums[p.Name+"@"+p.Version] = p.Checksum
	}
	return sums, nil
}
