package dockerfile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

// victim is a folder that nothing may read or write, and the way to it from
// anywhere.
type victim struct{ dir, climb string }

func newVictim(t *testing.T) victim {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("canary"), 0o644); err != nil {
		t.Fatal(err)
	}
	return victim{dir, strings.Repeat("../", 12) + dir[1:]}
}

// state is a hash over the folder and all that is in it.
func (v victim) state(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(v.dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, at, info.Mode(), info.Size(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			raw, err := os.ReadFile(at)
			h.Write(raw)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// hostileArchive is a tar and what has to become of it: refused with these
// words, or "" for contained: it may be unpacked, all of it in the image.
type hostileArchive struct {
	name   string
	raw    []byte
	refuse string
}

func hostileArchives(t *testing.T, v victim) []hostileArchive {
	t.Helper()
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	dir := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to, Mode: 0o644}
	}
	var all []hostileArchive
	add := func(name, refuse string, headers ...tar.Header) {
		all = append(all, hostileArchive{name, archiveOf(t, headers...), refuse})
	}
	raw := func(name, refuse string, content []byte) { all = append(all, hostileArchive{name, content, refuse}) }
	with := func(h tar.Header, change func(*tar.Header)) tar.Header { change(&h); return h }

	// Names.
	for _, name := range []string{
		"../x", "/x", "a/../../x", v.climb + "/climbed", v.dir + "/absolute", "..", ".", "a/..", `..\x`, `C:\x`,
		"con", "aux.txt", "new\nline", "-rf", "x\xff", "e\u0301", "\x1b[31m", "a//b", "./a/./b",
		strings.Repeat("d/", 200) + "x", strings.Repeat("n", 200),
	} {
		add(fmt.Sprintf("name %.40q", name), "", file(name))
	}
	add("the folder itself", "", dir("./"))
	add("the folder above", "", dir("../"))
	add("name too long", "file name too long", file(strings.Repeat("n", 4096)))
	add("twins by normalisation", "", file("\u00e9"), file("e\u0301"))
	add("twins by case", "", file("A"), file("a"))
	raw("a file with a slash", "", patch(archiveOf(t, file("xX")), func(block []byte) { block[1] = '/' }))
	add("a folder over a file", "", file("x"), dir("x"), file("x/y"))
	add("a file under a file", "is a file", file("x"), file("x/y"))
	raw("NUL in a name", "", patch(archiveOf(t, file("aXb")), func(block []byte) { block[1] = 0 }))
	raw("no name", "", patch(archiveOf(t, file("x")), func(block []byte) { block[0] = 0 }))

	// Links.
	add("write through an absolute link", "", link("l", v.dir), file("l/through"))
	add("write through a relative link", "", link("l", v.climb), file("l/through"))
	add("two hops", "", dir("sub"), link("sub/up", ".."), link("sub/up/w", ".."), file("w/x"))
	add("many hops", "", link("a", "."), link("a/b", ".."), link("b/c", ".."), file("c/d"))
	add("replace a link", "", link("secret", v.dir+"/secret"), file("secret"))
	add("a folder in place of a link", "", link("l", v.dir), dir("l"), file("l/x"))
	add("a loop", "too many levels", link("l", "l"), file("l/x"))
	add("a loop of two", "too many levels", link("a", "b"), link("b", "a"), file("a/x"))
	add("hard link out, absolute", "no such file", hard("h", v.dir+"/secret"))
	add("hard link out, relative", "no such file", hard("h", v.climb+"/secret"))
	add("hard link by working folder", "no such file", hard("h", "secret"))
	add("hard link to a link out", "", link("l", v.dir+"/secret"), hard("h", "l"), file("h"))
	add("hard link through a link", "no such file", link("l", v.dir), hard("h", "l/secret"))
	add("hard link to itself", "no such file", hard("h", "h"))
	add("hard link to a folder", "not permitted", dir("d"), hard("h", "d"))
	add("link with an empty target", "no such file", link("l", ""))
	add("link with a long target", "", link("l", strings.Repeat("x/", 1500)))

	// Types.
	for flag, name := range map[byte]string{tar.TypeChar: "character device", tar.TypeBlock: "block device"} {
		add(name, "", tar.Header{Typeflag: flag, Name: "dev", Devmajor: 1, Devminor: 1, Mode: 0o666})
	}
	add("FIFO", "", tar.Header{Typeflag: tar.TypeFifo, Name: "pipe", Mode: 0o644})
	add("setuid", "", with(file("s"), func(h *tar.Header) { h.Mode = 0o6755 }))
	add("wide mode", "", with(file("s"), func(h *tar.Header) { h.Mode = 0o777777 }))
	add("capability", "", with(file("c"), func(h *tar.Header) {
		h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}
	}))
	add("attribute of the system", "", with(file("c"), func(h *tar.Header) {
		h.PAXRecords = map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.security.selinux": "x"}
	}))
	add("another name in a PAX record", "", with(file("safe"), func(h *tar.Header) {
		h.Format, h.Name = tar.FormatPAX, v.climb+"/pax-\u00e9"
	}))
	add("a global header", "", tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": v.dir + "/global"}}, file("x"))
	for _, flag := range []byte{'Z', 'V', 'M', 'D'} {
		raw(fmt.Sprintf("type %c", flag), "entry of type", patch(archiveOf(t, dir("odd")), func(block []byte) { block[156] = flag }))
	}
	raw("contiguous file", "entry of type", patch(archiveOf(t, file("x")), func(block []byte) { block[156] = '7' }))

	// Numbers.
	add("negative owner", "", with(file("x"), func(h *tar.Header) { h.Format, h.Uid, h.Gid = tar.FormatGNU, -1, -1 }))
	add("huge owner", "no such id", with(file("x"), func(h *tar.Header) { h.Format, h.Uid = tar.FormatGNU, 1<<31 }))
	add("time before all", "", with(file("x"), func(h *tar.Header) { h.Format, h.ModTime = tar.FormatGNU, time.Unix(-1<<40, 0) }))
	add("time after all", "", with(file("x"), func(h *tar.Header) { h.Format, h.ModTime = tar.FormatGNU, time.Unix(1<<40, 0) }))
	raw("size is more than there is", "unexpected EOF", patch(archiveOf(t, file("x")), func(block []byte) { copy(block[124:], "00000007777\x00") }))
	raw("size is more than a disk has", "fill the disk", patch(archiveOf(t, file("x")), func(block []byte) { copy(block[124:], "77777777777\x00") }))
	raw("checksum is wrong", "invalid tar header", append(archiveOf(t, file("x"))[:1024], bytes.Repeat([]byte("evil"), 256)...))
	raw("garbage behind the end", "", append(archiveOf(t, file("x")), bytes.Repeat([]byte("evil"), 4096)...))
	twice := append(zipped(t, archiveOf(t, file("one"))), zipped(t, archiveOf(t, file("two")))...)
	raw("two gzip members", "", twice)
	return all
}

// patch changes the first header and makes its checksum right again.
func patch(archive []byte, change func(block []byte)) []byte {
	block := archive[:512]
	change(block)
	copy(block[148:156], "        ")
	sum := 0
	for _, b := range block {
		sum += int(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return archive
}

func zipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	if _, err := zw.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// layerOf is an image whose only layer is archive.
func layerOf(t *testing.T, archive []byte) v1.Image {
	t.Helper()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// contained builds and looks at what came out: nothing of the victim, and no
// path that would leave the image.
func contained(t *testing.T, p *project, refuse string, mayDiffer bool) {
	t.Helper()
	started := time.Now()
	image, err := p.build(Options{})
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	switch {
	case err != nil && refuse == "" && !mayDiffer:
		t.Errorf("refused: %v", err)
	case err != nil && refuse != "" && !strings.Contains(err.Error(), refuse):
		t.Errorf("got %v, want %q", err, refuse)
	case err == nil && refuse != "" && !mayDiffer:
		t.Errorf("built, want %q", refuse)
	}
	if err != nil {
		return
	}
	for _, entry := range added(t, image) {
		name := strings.SplitN(entry, " ", 4)[3]
		if strings.HasSuffix(entry, "= canary") || strings.HasPrefix(name, "../") || strings.HasPrefix(name, "/") {
			t.Errorf("the image has %s", entry)
		}
	}
}

// TestHostileArchives unpacks each archive as ADD does and as a base's layer.
func TestHostileArchives(t *testing.T) {
	v := newVictim(t)
	before := v.state(t)
	all := hostileArchives(t, v)
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			p := newProject(t, "FROM scratch\nADD a.tar /into/\n", map[string]string{"a.tar": string(a.raw)})
			contained(t, p, a.refuse, false)
			// Unpacking a base, a name may be another one's place.
			p = newProject(t, "FROM evil\nCOPY probe /probe\n", map[string]string{"probe": "x"})
			if !strings.Contains(a.name, "gzip") {
				p.bases["evil"] = layerOf(t, a.raw)
				contained(t, p, a.refuse, true)
			}
			if v.state(t) != before {
				t.Fatal("the victim is not what it was")
			}
		})
	}
	t.Logf("%d archives", len(all))
}

// TestTruncatedArchive ends an archive after each of its blocks.
func TestTruncatedArchive(t *testing.T) {
	var headers []tar.Header
	for i := range 9 {
		headers = append(headers, tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint("f", i), Mode: 0o644})
	}
	whole := archiveOf(t, headers...)
	for end := 512; end < 18*512; end += 512 {
		p := newProject(t, "FROM scratch\nADD a.tar /into/\n", map[string]string{"a.tar": string(whole[:end])})
		// An end between two files is an end; docker build takes it too.
		image, err := p.build(Options{})
		inFile := end%1024 != 0
		if inFile != (err != nil) || err != nil && !strings.Contains(err.Error(), "unexpected EOF") {
			t.Errorf("after %d bytes: %v", end, err)
		}
		if err == nil && len(added(t, image)) != end/1024+1 {
			t.Errorf("after %d bytes: %q", end, added(t, image))
		}
	}
}

// TestDeletionsInABase: names that delete, and that mean something else than a
// file beside them.
func TestDeletionsInABase(t *testing.T) {
	v := newVictim(t)
	before := v.state(t)
	for name, refuse := range map[string]string{
		".wh.keep": "", "d/.wh.x": "", "d/.wh..wh..opq": "", "l/.wh.secret": "", "l/.wh..wh..opq": "", ".wh.nothing": "",
		".wh.": "deletes no file", ".wh..": "deletes no file", ".wh...": "deletes no file", "d/.wh...": "deletes no file", "d/.wh.": "deletes no file",
	} {
		below := layerOf(t, archiveOf(t,
			tar.Header{Typeflag: tar.TypeReg, Name: "keep", Mode: 0o644}, tar.Header{Typeflag: tar.TypeReg, Name: "d/x", Mode: 0o644},
			tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: v.dir, Mode: 0o777}))
		layers, err := layerOf(t, archiveOf(t, tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644})).Layers()
		if err != nil {
			t.Fatal(err)
		}
		p := newProject(t, "FROM evil\nCOPY probe /probe\n", map[string]string{"probe": "x"})
		if p.bases["evil"], err = mutate.AppendLayers(below, layers...); err != nil {
			t.Fatal(err)
		}
		contained(t, p, refuse, false)
		if v.state(t) != before {
			t.Fatalf("%s: the victim is not what it was", name)
		}
	}
}

// TestHostileContexts packs folders as the layers builder does and as COPY does.
// Both refuse with the same words, or take the same names; links that lead out are
// refused by the one and copied as links, which reads nothing, by the other.
func TestHostileContexts(t *testing.T) {
	v := newVictim(t)
	before := v.state(t)
	type context struct {
		name   string
		files  map[string]string
		refuse string
	}
	var all []context
	add := func(name, refuse string, files ...string) {
		m := map[string]string{}
		for _, f := range files {
			m[f] = "content"
			if strings.Contains(f, " -> ") {
				m[f] = ""
			}
		}
		all = append(all, context{name, m, refuse})
	}
	for _, name := range []string{
		`..\x`, `C:\x`, "con", "aux.txt", "new\nline", "-rf", " ", "a ", "a.", "...", "*", "[a", "$HOME", "~", "\x1b[31m", "\u202e", "e\u0301",
		strings.Repeat("n", 255), strings.Repeat("d/", 100) + "x", ".whale", "a.wh.b",
	} {
		add(fmt.Sprintf("name %.40q", name), "", name)
	}
	add("not UTF-8", "not UTF-8", "x\xff")
	add("twins by normalisation", "", "\u00e9", "e\u0301")
	add("twins by case", "", "A", "a")
	add("deletes a file", "delete", ".wh.etc")
	add("deletes a folder's files", "delete", "d/.wh..wh..opq")
	add(".git is a file", "", ".git", "a")
	for _, link := range []string{
		"l -> " + v.dir, "l -> " + v.dir + "/secret", "l -> " + v.climb, "l -> /etc/passwd", "l -> ..", "d/l -> ../..", "l -> l", "l -> /proc/self/environ",
		"l -> ../app/../x",
	} {
		add("link "+link[:min(len(link), 24)], "link", link, "d/x")
	}
	add("two hops", "link", "sub/up -> ..", "sub/x -> up/../../secret", "sub/y")
	add("a loop of two", "link", "a -> b", "b -> a")
	add("link inside", "", "l -> d/x", "d/x")
	add("link to nothing inside", "", "l -> nowhere")
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			p := newProject(t, "FROM scratch\nCOPY . /into/\n", c.files)
			refuse := c.refuse
			if refuse == "link" {
				refuse = ""
			}
			contained(t, p, refuse, false)
			err := packed(t, p.dir)
			if (err != nil) != (c.refuse != "") || err != nil && !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("layers: got %v, want %q", err, c.refuse)
			}
			if v.state(t) != before {
				t.Fatal("the victim is not what it was")
			}
		})
	}
	t.Logf("%d contexts", len(all))
}

// packed makes a layer of a folder.
func packed(t *testing.T, dir string) error {
	t.Helper()
	tree, err := source.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	files, err := tree.Walk(context.Background(), "app", func(string, bool) (bool, bool) { return false, false }, func(string) {})
	if err != nil {
		return err
	}
	store, err := layer.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = store.Write(context.Background(), files, time.Unix(0, 0))
	return err
}
