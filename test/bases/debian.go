package bases

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// skipped are packages that only matter to an installation with maintainer
// scripts, which a layer does not run.
func skipped() []string {
	return []string{"debconf", "debconf-2.0", "dpkg", "perl-base", "libc-bin", "debianutils"}
}

// debian unpacks an architecture's packages and what they depend on.
func debian(ctx context.Context, arch string, packages ...string) (files []layer.File, err error) {
	dir, err := os.MkdirTemp("", "kn-lite-base-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	a, err := openArchive(ctx, arch, dir)
	if err != nil {
		return nil, err
	}
	all, err := a.closure(ctx, packages)
	if err != nil {
		return nil, err
	}
	return a.unpackAll(ctx, dir, all)
}

// archive is the package mirror as apt sees it for one architecture.
type archive struct {
	options []string
}

// openArchive has apt's own lists for the machine's architecture. For another
// one it reads lists into dir, so that the machine's apt never hears of it.
func openArchive(ctx context.Context, arch, dir string) (*archive, error) {
	own, err := run(ctx, "", "dpkg", "--print-architecture")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(own) == arch {
		return &archive{}, nil
	}
	lists, cache := filepath.Join(dir, "lists"), filepath.Join(dir, "cache")
	for _, sub := range []string{filepath.Join(lists, "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return nil, err
		}
	}
	a := &archive{options: []string{
		"-o", "APT::Architecture=" + arch, "-o", "APT::Architectures=" + arch,
		"-o", "Dir::State::lists=" + lists, "-o", "Dir::Cache=" + cache, "-o", "Acquire::Languages=none",
	}}
	_, err = a.apt(ctx, "", "apt-get", "update", "-qq")
	return a, err
}

// apt runs one of apt's programs.
func (a *archive) apt(ctx context.Context, dir, program string, args ...string) (string, error) {
	return run(ctx, dir, program, append(slices.Clone(a.options), args...)...)
}

// closure is the packages with their versions (NAME=VERSION) that Debian itself
// has; a package from elsewhere that is installed on this machine is not taken.
// apt reads its whole cache at each start, so it is asked once per generation.
func (a *archive) closure(ctx context.Context, packages []string) ([]string, error) {
	var found []string
	known := skipped()
	for todo := packages; len(todo) > 0; {
		pinned, err := a.versions(ctx, todo)
		if err != nil {
			return nil, err
		}
		found, known = append(found, pinned...), append(known, todo...)
		show, err := a.apt(ctx, "", "apt-cache", append([]string{"show", "--no-all-versions"}, pinned...)...)
		if err != nil {
			return nil, err
		}
		todo = nil
		for line := range strings.SplitSeq(show, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			if field != "Depends" && field != "Pre-Depends" {
				continue
			}
			for _, pkg := range dependencies(value) {
				if !slices.Contains(known, pkg) && !slices.Contains(todo, pkg) {
					todo = append(todo, pkg)
				}
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// versions are the first versions that an archive offers: madison does
// not list what is installed only.
func (a *archive) versions(ctx context.Context, packages []string) ([]string, error) {
	table, err := a.apt(ctx, "", "apt-cache", append([]string{"madison"}, packages...)...)
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for line := range strings.SplitSeq(table, "\n") {
		// nodejs | 18.20.4+dfsg-1~deb12u3 | http://… bookworm-security/main amd64 Packages
		columns := strings.Split(line, "|")
		if len(columns) != 3 || !strings.Contains(columns[2], "debian") || !strings.Contains(columns[2], "Packages") {
			continue
		}
		if pkg := strings.TrimSpace(columns[0]); versions[pkg] == "" {
			versions[pkg] = strings.TrimSpace(columns[1])
		}
	}
	var out []string
	for _, pkg := range packages {
		if versions[pkg] == "" {
			return nil, fmt.Errorf("apt knows no Debian package %s: run `apt-get update`", pkg)
		}
		out = append(out, pkg+"="+versions[pkg])
	}
	return out, nil
}

// dependencies are the first alternatives of a Depends field.
func dependencies(field string) []string {
	var out []string
	for part := range strings.SplitSeq(field, ",") {
		first, _, _ := strings.Cut(part, "|")
		first, _, _ = strings.Cut(first, "(")
		first, _, _ = strings.Cut(strings.TrimSpace(first), ":")
		if first != "" {
			out = append(out, first)
		}
	}
	return out
}

func (a *archive) unpackAll(ctx context.Context, dir string, packages []string) ([]layer.File, error) {
	if _, err := a.apt(ctx, dir, "apt-get", append([]string{"download", "-qq"}, packages...)...); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != len(packages) {
		return nil, fmt.Errorf("apt-get downloaded %d packages of %d: %w", len(debs), len(packages), err)
	}
	tree := map[string]layer.File{}
	for _, deb := range debs {
		data, err := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb).Output()
		if err != nil {
			return nil, fmt.Errorf("dpkg-deb %s: %w", filepath.Base(deb), err)
		}
		if err := unpack(tree, data); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
	}
	finish(tree)
	var files []layer.File
	for _, f := range tree {
		files = append(files, f)
	}
	return files, nil
}

// unpack adds a package's files to tree.
func unpack(tree map[string]layer.File, data []byte) error {
	reader := tar.NewReader(bytes.NewReader(data))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		at := merged(path.Clean(strings.TrimPrefix(header.Name, "/")))
		if at == "." || useless(at) {
			continue
		}
		perm := fs.FileMode(header.Mode & 0o755)
		switch header.Typeflag {
		case tar.TypeDir:
			tree[at] = layer.Dir(at, 0o755)
		case tar.TypeReg:
			content, err := io.ReadAll(reader)
			if err != nil {
				return err
			}
			tree[at] = layer.Bytes(at, perm, content)
		case tar.TypeSymlink:
			tree[at] = layer.Symlink(at, header.Linkname)
		case tar.TypeLink:
			target := tree[merged(path.Clean(strings.TrimPrefix(header.Linkname, "/")))]
			target.Path = at
			tree[at] = target
		}
	}
}

// merged is where /bin, /lib and the like have moved in Debian 12.
func merged(at string) string {
	top, rest, below := strings.Cut(at, "/")
	switch top {
	case "bin", "sbin", "lib", "lib64":
		if !below {
			return "usr/" + top
		}
		return "usr/" + top + "/" + rest
	}
	return at
}

func useless(at string) bool {
	for _, dir := range []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "usr/share/info", "usr/include"} {
		if at == dir || strings.HasPrefix(at, dir+"/") {
			return true
		}
	}
	return false
}

// finish adds what the maintainer scripts would have made.
func finish(tree map[string]layer.File) {
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		tree[dir] = layer.Symlink(dir, "usr/"+dir)
	}
	tree["usr/bin/sh"] = layer.Symlink("usr/bin/sh", "dash")
	tree["tmp"] = layer.Dir("tmp", fs.ModeSticky|0o777)
	tree["etc/nsswitch.conf"] = layer.Bytes("etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n"))
	tree["etc/passwd"] = layer.Bytes("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"))
	tree["etc/group"] = layer.Bytes("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
}

// run returns what a program prints.
func run(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", program, err, stderr.String())
	}
	return string(out), nil
}
