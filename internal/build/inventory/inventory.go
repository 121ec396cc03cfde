// Package inventory finds out which packages an image holds, from what their own
// ecosystems leave in the files: the build information of a Go program, package.json
// below node_modules, METADATA of a Python distribution, the manifest of a jar, the
// database of dpkg and apk. It looks at one layer at a time, so that what is known
// about a layer is known for good; Merge puts layers on each other.
package inventory

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/attest"
)

// Format changes whenever a release finds more, or something else, in the same
// layer.
const Format = "1"

// Limits of what is read into memory. Larger files hold no packages for us.
const (
	maxRecord  = 64 << 20
	maxProgram = 512 << 20
)

// Found is what one layer says.
type Found struct {
	// Files are the packages that a file tells about, by its path. A file that tells
	// nothing any more is there too: it hides the one below it.
	Files map[string][]attest.Package `json:"files,omitempty"`
	// Locks are npm's lockfiles: path → what they say about the folders beside them.
	Locks map[string]map[string]Locked `json:"locks,omitempty"`
	// System is what the distribution calls itself.
	System *System `json:"system,omitempty"`
	// Gone are files and folders that this layer removes; Emptied are folders of
	// which it removes what was there before.
	Gone    []string `json:"gone,omitempty"`
	Emptied []string `json:"emptied,omitempty"`
}

// Locked is what a lockfile knows beyond name and version.
type Locked struct {
	URL       string            `json:"url,omitempty"`
	Checksums []attest.Checksum `json:"checksums,omitempty"`
}

// System is a Linux distribution, from os-release.
type System struct {
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
}

// Scan reads the tar of a layer. What cannot be read as what its name says is
// passed over: an inventory is no judge of files.
func Scan(ctx context.Context, layer io.Reader) (*Found, error) {
	found := &Found{Files: map[string][]attest.Package{}, Locks: map[string]map[string]Locked{}}
	for files := tar.NewReader(layer); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
		if found.removed(name) || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := found.look(name, header, files); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
}

// removed takes note of a whiteout
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts).
func (f *Found) removed(name string) bool {
	hidden, ok := strings.CutPrefix(path.Base(name), ".wh.")
	switch {
	case !ok:
		return false
	case hidden == ".wh..opq":
		f.Emptied = append(f.Emptied, path.Dir(name))
	case !strings.HasPrefix(hidden, ".wh."):
		f.Gone = append(f.Gone, path.Join(path.Dir(name), hidden))
	}
	return true
}

// look reads a file that may tell about packages.
func (f *Found) look(name string, header *tar.Header, content io.Reader) error {
	if read := readerOf(name); read != nil {
		if header.Size > maxRecord {
			f.Files[name] = nil
			return nil
		}
		text, err := io.ReadAll(content)
		if err == nil {
			read(f, name, text)
		}
		return err
	}
	if header.Mode&0o111 == 0 || header.Size > maxProgram {
		return nil
	}
	magic := make([]byte, 4)
	if n, err := io.ReadFull(content, magic); n < len(magic) || string(magic) != "\x7fELF" {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
		return err
	}
	program := bytes.NewBuffer(make([]byte, 0, header.Size))
	program.Write(magic)
	if _, err := io.Copy(program, content); err != nil {
		return err
	}
	if packages := ofProgram(bytes.NewReader(program.Bytes())); packages != nil {
		f.Files[name] = placed(packages, name)
	}
	return nil
}

// readerOf is what reads a file of this name, or nil.
func readerOf(name string) func(f *Found, name string, text []byte) {
	base := path.Base(name)
	switch {
	case base == "package.json" && installed(name):
		return (*Found).npmPackage
	case (base == "package-lock.json" || base == "npm-shrinkwrap.json") && !strings.Contains(name, "node_modules/"):
		return (*Found).npmLock
	case base == "METADATA" && strings.HasSuffix(path.Dir(name), ".dist-info"),
		base == "PKG-INFO" && strings.HasSuffix(path.Dir(name), ".egg-info"):
		return (*Found).distribution
	case strings.HasSuffix(base, ".jar") || strings.HasSuffix(base, ".war"):
		return (*Found).jar
	case name == "var/lib/dpkg/status" || path.Dir(name) == "var/lib/dpkg/status.d" && !strings.HasSuffix(name, ".md5sums"):
		return (*Found).dpkg
	case name == "lib/apk/db/installed" || name == "usr/lib/apk/db/installed":
		return (*Found).apk
	case name == "etc/os-release" || name == "usr/lib/os-release":
		return (*Found).osRelease
	}
	return nil
}

// placed says of packages where they were found.
func placed(packages []attest.Package, name string) []attest.Package {
	for i := range packages {
		if packages[i].Found == "" {
			packages[i].Found = name
		}
	}
	return packages
}

// Merge is what a container made of these layers has, the lowest layer first,
// and the system that it runs, if one of them tells.
func Merge(layers []*Found) ([]attest.Package, *System) {
	files := map[string][]attest.Package{}
	locks := map[string]map[string]Locked{}
	var system *System
	for _, l := range layers {
		for _, name := range l.Gone {
			hide(files, name, true)
			hide(locks, name, true)
		}
		for _, name := range l.Emptied {
			hide(files, name, false)
			hide(locks, name, false)
		}
		maps.Copy(files, l.Files)
		maps.Copy(locks, l.Locks)
		if l.System != nil {
			system = l.System
		}
	}
	var out []attest.Package
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, p := range files[name] {
			if p.Type == "npm" {
				p = enriched(p, name, locks)
			}
			if p.Type == "deb" || p.Type == "apk" {
				p = distributed(p, system)
			}
			out = append(out, p)
		}
	}
	return attest.Sorted(out), system
}

// hide removes a path, if it goes itself, and all that is below it.
func hide[T any](files map[string]T, name string, itself bool) {
	for file := range files {
		if itself && file == name || name == "." || strings.HasPrefix(file, name+"/") {
			delete(files, file)
		}
	}
}
