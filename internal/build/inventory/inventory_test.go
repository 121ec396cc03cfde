package inventory

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/attest"
)

// entry is a file of a layer; mode 0 is 0644.
type entry struct {
	name, text string
	mode       int64
}

func scan(t *testing.T, files ...entry) *Found {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		mode := f.mode
		if mode == 0 {
			mode = 0o644
		}
		if err := w.WriteHeader(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Size: int64(len(f.text)), Mode: mode}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := Scan(context.Background(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func purls(layers ...*Found) []string {
	packages, _ := Merge(layers)
	out := []string{}
	for _, p := range packages {
		out = append(out, p.PURL())
	}
	return out
}

func TestRecords(t *testing.T) {
	const dpkg = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u9
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Description: GNU C Library
 Package: not-a-package

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1

`
	tests := map[string]struct {
		files []entry
		want  []string
	}{
		"npm": {
			[]entry{
				{name: "app/node_modules/express/package.json", text: `{"name":"express","version":"5.1.0"}`},
				{name: "app/node_modules/@a/b/package.json", text: `{"name":"@a/b","version":"1.0.0"}`},
				{name: "app/node_modules/express/node_modules/ms/package.json", text: `{"name":"ms","version":"2.0.0"}`},
				{name: "app/node_modules/express/lib/package.json", text: `{"name":"inner","version":"9"}`},
				{name: "app/node_modules/broken/package.json", text: `{"name":`},
				{name: "app/node_modules/nameless/package.json", text: `{"version":"1"}`},
				{name: "app/package.json", text: `{"name":"app","version":"1.0.0"}`},
			},
			[]string{"pkg:npm/%40a/b@1.0.0", "pkg:npm/express@5.1.0", "pkg:npm/ms@2.0.0"},
		},
		"python": {
			[]entry{
				{name: "dependencies/Flask_Cors-4.0.dist-info/METADATA", text: "Metadata-Version: 2.1\nName: Flask_Cors\nVersion: 4.0\n\nVersion: in the text\n"},
				{name: "usr/lib/x.egg-info/PKG-INFO", text: "Name: old\r\nVersion: 1.0\r\n"},
				{name: "app/METADATA", text: "Name: no\nVersion: 1\n"},
			},
			[]string{"pkg:pypi/flask-cors@4.0", "pkg:pypi/old@1.0"},
		},
		"debian": {[]entry{{name: "var/lib/dpkg/status", text: dpkg}}, []string{"pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64"}},
		"distroless": {
			[]entry{
				{name: "var/lib/dpkg/status.d/tzdata", text: "Package: tzdata\nVersion: 2025a\nArchitecture: all\nMaintainer: x <a@ubuntu.com>\n"},
				{name: "var/lib/dpkg/status.d/tzdata.md5sums", text: "Package: no\n"},
			},
			[]string{"pkg:deb/ubuntu/tzdata@2025a?arch=all"},
		},
		"debian with its release": {
			[]entry{{name: "var/lib/dpkg/status", text: dpkg}, {name: "usr/lib/os-release", text: "ID=debian\nVERSION_ID=\"12\"\n"}},
			[]string{"pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12"},
		},
		"alpine": {
			[]entry{{name: "lib/apk/db/installed", text: "C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\n\nP:zlib\nV:1.3\nA:x86_64\nF:lib\nR:libz.so\n"}},
			[]string{"pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64", "pkg:apk/alpine/zlib@1.3?arch=x86_64"},
		},
		"java": {
			[]entry{
				{name: "app/lib/a.jar", text: zipOf(t, map[string]string{"META-INF/maven/org.x/a/pom.properties": "#comment\ngroupId=org.x\nartifactId=a\nversion=1.0\n"})},
				{name: "app/lib/guava-33.4.0-jre.jar", text: zipOf(t, map[string]string{"x": ""})},
				{name: "app/lib/nameless.jar", text: zipOf(t, map[string]string{"x": ""})},
				{name: "app/lib/broken-1.jar", text: "PK"},
				{name: "app/fat.jar", text: zipOf(t, map[string]string{
					"BOOT-INF/lib/slf4j-api-2.0.16.jar": zipOf(t, map[string]string{"META-INF/maven/org.slf4j/slf4j-api/pom.properties": "groupId=org.slf4j\nartifactId=slf4j-api\nversion=2.0.16\n"}),
				})},
			},
			[]string{"pkg:maven/guava@33.4.0-jre", "pkg:maven/org.slf4j/slf4j-api@2.0.16", "pkg:maven/org.x/a@1.0"},
		},
		"rust": {[]entry{{name: "app/function", mode: 0o755, text: auditableProgram(t, `{"packages":[{"name":"serde","version":"1.0.1"},{"name":"cc","version":"1","kind":"build"}]}`)}}, []string{"pkg:cargo/serde@1.0.1"}},
		"no packages": {
			[]entry{{name: "bin/sh", mode: 0o755, text: "#!"}, {name: "bin/x", mode: 0o755, text: "\x7fELF but not really"}, {name: "etc/passwd", text: "root"}},
			[]string{},
		},
	}
	for label, test := range tests {
		if diff := cmp.Diff(test.want, purls(scan(t, test.files...))); diff != "" {
			t.Errorf("%s: %s", label, diff)
		}
	}
}

func zipOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range files {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// auditableProgram is the smallest ELF file with a section .dep-v0.
func auditableProgram(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
		t.Fatal("zlib")
	}
	names := "\x00.dep-v0\x00.shstrtab\x00"
	const header = 64
	var b bytes.Buffer
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	le := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	le(uint16(2))
	le(uint16(62))
	le(uint32(1))
	le([3]uint64{0, 0, uint64(header + packed.Len() + len(names))})
	le(uint32(0))
	le([6]uint16{64, 0, 0, 64, 3, 2})
	b.Write(packed.Bytes())
	b.WriteString(names)
	section := func(name, kind uint32, at, size int) {
		le([2]uint32{name, kind})
		le([4]uint64{0, 0, uint64(at), uint64(size)})
		le([2]uint32{})
		le([2]uint64{})
	}
	section(0, 0, 0, 0)
	section(1, 1, header, packed.Len())
	section(9, 3, header+packed.Len(), len(names))
	return b.String()
}

// The test's own program is a Go program.
func TestGoProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(raw), "\x7fELF") {
		t.Skip("programs are no ELF files here")
	}
	got := purls(scan(t, entry{name: "app/function", text: string(raw), mode: 0o755}))
	if !slices.ContainsFunc(got, func(p string) bool { return strings.HasPrefix(p, "pkg:golang/stdlib@1.") }) ||
		!slices.ContainsFunc(got, func(p string) bool { return p == "pkg:golang/github.com/kn-lite/kn-lite" }) {
		t.Errorf("found %v", got)
	}
	if got := purls(scan(t, entry{name: "app/function", text: string(raw)})); len(got) > 0 {
		t.Errorf("a file that nobody can run: %v", got)
	}
}

func TestGoModules(t *testing.T) {
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8 X:nocoverageredesign",
		Main:      debug.Module{Path: "function", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/a", Version: "v1.0.0"},
			{Path: "example.com/old", Version: "v1", Replace: &debug.Module{Path: "example.com/new", Version: "v2"}},
			{Path: "example.com/local", Version: "v1", Replace: &debug.Module{Path: "/home/ada/secret"}},
			{Path: "example.com/beside", Version: "v1", Replace: &debug.Module{Path: "../beside"}},
		},
	}
	var got []string
	for _, p := range GoModules(info) {
		got = append(got, p.PURL())
		if strings.Contains(p.PURL()+p.Comment, "ada") {
			t.Errorf("a folder of this machine is told: %+v", p)
		}
	}
	want := []string{
		"pkg:golang/function", "pkg:golang/stdlib@1.26.8", "pkg:golang/example.com/a@v1.0.0",
		"pkg:golang/example.com/new@v2", "pkg:golang/example.com/local", "pkg:golang/example.com/beside",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Layers hide what is below them, as in a container.
func TestMerge(t *testing.T) {
	pkg := func(name, version string) string { return `{"name":"` + name + `","version":"` + version + `"}` }
	below := scan(t,
		entry{name: "app/node_modules/a/package.json", text: pkg("a", "1")},
		entry{name: "app/node_modules/b/package.json", text: pkg("b", "1")},
		entry{name: "opt/node_modules/c/package.json", text: pkg("c", "1")},
		entry{name: "optional/node_modules/d/package.json", text: pkg("d", "1")},
	)
	tests := map[string]struct {
		above []entry
		want  []string
	}{
		"nothing":  {nil, []string{"pkg:npm/a@1", "pkg:npm/b@1", "pkg:npm/c@1", "pkg:npm/d@1"}},
		"newer":    {[]entry{{name: "app/node_modules/a/package.json", text: pkg("a", "2")}}, []string{"pkg:npm/a@2", "pkg:npm/b@1", "pkg:npm/c@1", "pkg:npm/d@1"}},
		"not one":  {[]entry{{name: "app/node_modules/a/package.json", text: "{}"}}, []string{"pkg:npm/b@1", "pkg:npm/c@1", "pkg:npm/d@1"}},
		"file":     {[]entry{{name: "app/node_modules/a/.wh.package.json"}}, []string{"pkg:npm/b@1", "pkg:npm/c@1", "pkg:npm/d@1"}},
		"folder":   {[]entry{{name: ".wh.opt"}}, []string{"pkg:npm/a@1", "pkg:npm/b@1", "pkg:npm/d@1"}},
		"opaque":   {[]entry{{name: "app/.wh..wh..opq"}, {name: "app/node_modules/e/package.json", text: pkg("e", "1")}}, []string{"pkg:npm/c@1", "pkg:npm/d@1", "pkg:npm/e@1"}},
		"all":      {[]entry{{name: ".wh..wh..opq"}}, []string{}},
		"overlays": {[]entry{{name: "app/.wh..wh.plnk"}}, []string{"pkg:npm/a@1", "pkg:npm/b@1", "pkg:npm/c@1", "pkg:npm/d@1"}},
	}
	for label, test := range tests {
		if diff := cmp.Diff(test.want, purls(below, scan(t, test.above...))); diff != "" {
			t.Errorf("%s: %s", label, diff)
		}
	}
}

// A lockfile in another layer knows where a package came from.
func TestLockfile(t *testing.T) {
	digest := bytes.Repeat([]byte{7}, 64)
	modules := scan(t, entry{name: "app/node_modules/a/package.json", text: `{"name":"a","version":"1"}`})
	application := scan(t, entry{name: "app/package-lock.json", text: `{"packages":{"":{},"node_modules/a":{"version":"1","resolved":"https://ada:secret@npm.example/a-1.tgz","integrity":"sha512-` + base64.StdEncoding.EncodeToString(digest) + ` md5-AAAA"}}}`})
	packages, _ := Merge([]*Found{modules, application})
	want := []attest.Package{{
		Type: "npm", Name: "a", Version: "1", Found: "app/node_modules/a/package.json", URL: "https://npm.example/a-1.tgz",
		Checksums: []attest.Checksum{{Algorithm: "SHA512", Value: hex.EncodeToString(digest)}},
	}}
	if diff := cmp.Diff(want, packages); diff != "" {
		t.Error(diff)
	}
}

func TestScanEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "x", Typeflag: tar.TypeReg}); err != nil || w.Close() != nil {
		t.Fatal("tar")
	}
	if _, err := Scan(ctx, bytes.NewReader(b.Bytes())); err == nil {
		t.Error("a scan that nobody waits for goes on")
	}
	if _, err := Scan(context.Background(), strings.NewReader("no tar at all, and long enough to look at: "+strings.Repeat("x", 1024))); err == nil {
		t.Error("something else is read as a tar")
	}
}
