package python

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// useLock makes the installation that of a lock: what it selects for the image,
// each from where it says, and nothing besides.
func (i *install) useLock(lock *lockfile.Lock) error {
	packages, err := lock.Select(lockfile.Environment{Values: i.markers()})
	if err != nil {
		return err
	}
	i.complete, i.indexes, i.lock = true, map[string][]string{}, lock
	var lines []string
	for _, p := range packages {
		line := p.Name + "==" + p.Version
		switch {
		case p.Archive != "" && !strings.Contains(p.Archive, "://"):
			line = p.Name + " @ " + inProject + p.Archive
		case p.Archive != "":
			line = p.Name + " @ " + p.Archive
		case p.Links != "":
			lines = append(lines, "--find-links "+inProject+p.Links)
			i.indexes[p.Name] = []string{}
		case p.Index != "" && p.Page:
			i.indexes[p.Name] = []string{p.Index}
		case p.Index != "":
			i.indexes[p.Name] = []string{indexPage(p.Index, p.Name)}
		case len(p.Others) > 0:
			for _, index := range p.Others {
				i.indexes[p.Name] = append(i.indexes[p.Name], indexPage(index, p.Name))
			}
			i.indexes[p.Name] = append(i.indexes[p.Name], "")
		}
		hashes := usableHashes(p.Hashes)
		if len(hashes) == 0 {
			i.unhashed = append(i.unhashed, line)
			continue
		}
		lines = append(lines, line+" "+strings.Join(hashes, " "))
	}
	i.requirements = []byte(strings.Join(slices.Compact(lines), "\n") + "\n")
	return nil
}

// indexPage is where an index lists the files of one package
// (https://packaging.python.org/en/latest/specifications/simple-repository-api/).
func indexPage(index, name string) string { return strings.TrimSuffix(index, "/") + "/" + name + "/" }

// usableHashes returns pip's options for those checksums that pip accepts, sorted.
func usableHashes(hashes []string) []string {
	var out []string
	for _, hash := range hashes {
		kind, _, _ := strings.Cut(hash, ":")
		if slices.Contains([]string{"sha256", "sha384", "sha512"}, kind) {
			out = append(out, "--hash="+hash)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// download fetches what the lock has no checksums of, since pip wants all or none,
// and returns requirements with those of what came.
func (i *install) download(ctx context.Context, tool, dir string) (string, error) {
	if len(i.unhashed) == 0 {
		return "", nil
	}
	list, into := filepath.Join(dir, "unhashed.txt"), filepath.Join(dir, "unhashed")
	if err := errors.Join(os.Mkdir(into, 0o755), os.WriteFile(list, []byte(i.staged(strings.Join(i.unhashed, "\n")+"\n")), 0o600)); err != nil {
		return "", err
	}
	if err := i.pip(ctx, tool, dir, "download", "--no-deps", "--dest="+into, "--requirement="+list); err != nil {
		return "", err
	}
	wheels, err := os.ReadDir(into)
	if err != nil {
		return "", err
	}
	var lines strings.Builder
	for _, w := range wheels {
		sum, err := regular.Digest(filepath.Join(into, w.Name()))
		if err != nil {
			return "", err
		}
		name, _, _ := strings.Cut(w.Name(), "-")
		fmt.Fprintf(&lines, "%s @ file://%s --hash=sha256:%s\n", name, filepath.ToSlash(filepath.Join(into, w.Name())), sum)
	}
	return lines.String(), nil
}

// localSum returns a digest of the project's own wheels, "" when there are none.
func (p *project) localSum(from *lang.Project) (string, error) {
	wheels, folders := p.localFiles()
	for _, folder := range folders {
		entries, err := fs.ReadDir(from.Source.FS(), folder)
		if err != nil {
			return "", fault.New(fault.Usage, "build.python", folder, "wheels are looked for in this folder of the project: %w", err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() {
				wheels = append(wheels, path.Join(folder, e.Name()))
			}
		}
	}
	if len(wheels) == 0 {
		return "", nil
	}
	h := sha256.New()
	for _, name := range slices.Compact(slices.Sorted(slices.Values(wheels))) {
		// Links do not lead out of the project here.
		f, err := from.Source.FS().Open(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s\n", name)
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// staged returns requirements with the names of the project's files as they are
// on this machine.
func (i *install) staged(text string) string {
	dir := filepath.ToSlash(i.project.Dir) + "/"
	text = strings.ReplaceAll(text, "@ "+inProject, "@ file://"+dir)
	return strings.ReplaceAll(text, inProject, dir)
}

// pipSettings is what target_pip.py reads.
type pipSettings struct {
	Markers map[string]string   `json:"markers"`
	Indexes map[string][]string `json:"indexes,omitempty"`
}

// settings returns what pip is told besides its arguments, credentials among it.
func (i *install) settings() (pipSettings, error) {
	out := pipSettings{Markers: i.markers(), Indexes: map[string][]string{}}
	if i.local {
		out.Markers = nil // pip's own
	}
	for name, locations := range i.indexes {
		out.Indexes[name] = []string{}
		for _, location := range locations {
			full, err := i.credentials.address(location)
			if err != nil {
				return out, err
			}
			out.Indexes[name] = append(out.Indexes[name], full)
		}
	}
	return out, nil
}

// markers returns what decides markers in the image.
func (i *install) markers() map[string]string {
	system := map[string]string{"sys_platform": "linux", "platform_system": "Linux"}
	if i.platform.OS == "darwin" {
		system = map[string]string{"sys_platform": "darwin", "platform_system": "Darwin"}
	}
	return map[string]string{
		"python_version": majorMinor(i.version), "python_full_version": i.version,
		"os_name": "posix", "sys_platform": system["sys_platform"], "platform_system": system["platform_system"], "platform_machine": machine(i.platform),
		"platform_release": "", "platform_version": "",
		"implementation_name": "cpython", "implementation_version": i.version, "platform_python_implementation": "CPython",
	}
}

// newCredentials collects what this machine knows about indexes.
func newCredentials(p *lang.Project, lock *lockfile.Lock) *credentials {
	c := &credentials{environ: p.Environ}
	if lock != nil {
		c.named = lock.Indexes
	}
	return c
}
