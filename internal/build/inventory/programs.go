package inventory

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/zlib"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/kn-lite/kn-lite/internal/attest"
)

// ofProgram is what a program says it was linked from; nil when it says nothing.
func ofProgram(program io.ReaderAt) []attest.Package {
	if info, err := buildinfo.Read(program); err == nil {
		return GoModules(info)
	}
	return auditable(program)
}

// GoModules are the modules of a Go program: its own, the standard library, and
// those that were linked in.
func GoModules(info *debug.BuildInfo) []attest.Package {
	var out []attest.Package
	if info.Main.Path != "" {
		out = append(out, goModule(&info.Main))
	}
	// GOEXPERIMENT stands behind the version.
	version, _, _ := strings.Cut(info.GoVersion, " ")
	out = append(out, attest.GoModule("std", version))
	for _, dep := range info.Deps {
		out = append(out, goModule(dep))
	}
	return out
}

func goModule(m *debug.Module) attest.Package {
	if r := m.Replace; r != nil {
		if r.Version == "" || filepath.IsAbs(r.Path) || strings.HasPrefix(r.Path, ".") {
			// A folder of the machine that built it, whose name is nobody's business.
			local := attest.GoModule(m.Path, "")
			local.Comment = "replaced by a folder"
			return local
		}
		m = r
	}
	version := m.Version
	if version == "(devel)" {
		version = ""
	}
	return attest.GoModule(m.Path, version)
}

// auditable reads what cargo-auditable leaves in a Rust program
// (https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md).
func auditable(program io.ReaderAt) []attest.Package {
	file, err := elf.NewFile(program)
	if err != nil {
		return nil
	}
	section := file.Section(".dep-v0")
	if section == nil {
		return nil
	}
	packed, err := zlib.NewReader(io.LimitReader(section.Open(), maxRecord))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(packed, maxRecord))
	if err != nil {
		return nil
	}
	var list struct {
		Packages []struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Kind    string `json:"kind"`
		} `json:"packages"`
	}
	if json.Unmarshal(text, &list) != nil {
		return nil
	}
	var out []attest.Package
	for _, p := range list.Packages {
		if p.Kind != "build" {
			out = append(out, attest.Crate(p.Name, p.Version))
		}
	}
	return out
}

// jar reads what a jar says about itself and the jars in it.
func (f *Found) jar(name string, text []byte) {
	f.Files[name] = placed(jarPackages(path.Base(name), text, 2), name)
}

// jarPackages goes depth levels deep: a jar of Spring Boot's holds jars, and those
// rarely any.
func jarPackages(base string, text []byte, depth int) []attest.Package {
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		return nil
	}
	var out []attest.Package
	var own []attest.Package // by Maven's own record; several in a shaded jar
	for _, entry := range archive.File {
		maven := strings.HasPrefix(entry.Name, "META-INF/maven/") && path.Base(entry.Name) == "pom.properties"
		nested := depth > 1 && strings.HasSuffix(entry.Name, ".jar")
		if !maven && !nested || entry.UncompressedSize64 > maxRecord {
			continue
		}
		content, err := readEntry(entry)
		if err != nil {
			continue
		}
		if nested {
			out = append(out, jarPackages(path.Base(entry.Name), content, depth-1)...)
			continue
		}
		if p := properties(content); p["artifactId"] != "" {
			own = append(own, attest.Maven(p["groupId"], p["artifactId"], p["version"]))
		}
	}
	if len(own) == 0 {
		if p, ok := jarName(base); ok {
			own = append(own, p)
		}
	}
	return append(own, out...)
}

// jarName takes artifact and version from a file's name. The group is not known
// then.
func jarName(base string) (attest.Package, bool) {
	found := regexp.MustCompile(`^(.+?)-(\d[\w.+-]*)\.[jw]ar$`).FindStringSubmatch(base)
	if found == nil {
		return attest.Package{}, false
	}
	return attest.Maven("", found[1], found[2]), true
}

func readEntry(entry *zip.File) ([]byte, error) {
	r, err := entry.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxRecord))
}

// properties reads KEY=VALUE lines.
func properties(text []byte) map[string]string {
	out := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(key, "#") {
			out[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}
