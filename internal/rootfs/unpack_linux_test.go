package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Everything that a layer can say about a file is true of it afterwards.
func TestUnpackSetsAll(t *testing.T) {
	dir := t.TempDir()
	layer := archiveOf(
		t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "a commit"}},
		with(dir1("./"), func(h *tar.Header) { h.Mode = 0o711 }),
		with(dir1("dir/"), func(h *tar.Header) { h.Mode, h.Uid, h.Gid = 0o1777, 5, 6 }),
		with(file1("dir/program", "run"), func(h *tar.Header) { h.Mode, h.Uid, h.Gid = 0o6755, 1000, 1001 }),
		with(file1("./dotted", "x"), func(h *tar.Header) {
			h.PAXRecords = map[string]string{
				xattrPrefix + "user.colour": "blue", xattrPrefix + "user.overlay.opaque": "y", xattrPrefix + "trusted.x": "1", xattrPrefix + ownerAttribute: "7:7",
				xattrPrefix + "security.selinux": "label",
			}
		}),
		file1("/absolute", "x"), file1("no/folder/entry", "x"), file1(strings.Repeat("long/", 40)+"name", "x"), file1("empty", ""),
		link1("link", "dir/program"), link1("up", "../../etc"), same1("again", "./dir/program"), same1("dir/third", "/dir/program"),
		with(file1("fifo", ""), func(h *tar.Header) { h.Typeflag, h.Mode, h.Linkname = tar.TypeFifo, 0o622, "" }),
		with(file1("dev/null", ""), func(h *tar.Header) { h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, 1, 3 }),
		with(file1("dev/sda", ""), func(h *tar.Header) { h.Typeflag, h.Devmajor = tar.TypeBlock, 8 }),
		with(file1("old", "x"), func(h *tar.Header) { h.ModTime = time.Unix(0, 0) }),
	)
	if err := applyLayers(t, dir, false, layer); err != nil {
		t.Fatal(err)
	}
	tree := readTree(t, dir)
	for name, n := range tree {
		if strings.HasPrefix(name, "long") {
			delete(tree, name)
			if strings.HasSuffix(name, "name") && n.Content != "x" {
				t.Errorf("%s: %+v", name, n)
			}
		}
	}
	plain, at := node{Type: tar.TypeReg, Mode: 0o644, Content: "x", Time: when().Unix()}, when().Unix()
	folder := node{Type: tar.TypeDir, Mode: 0o755}
	program := node{Type: tar.TypeReg, Mode: 0o6755, UID: 1000, GID: 1001, Content: "run", Time: at, Same: "again"}
	coloured, old := plain, plain
	coloured.Attrs, old.Time = "user.colour=blue", 0
	want := map[string]node{
		"dir": {Type: tar.TypeDir, Mode: 0o1777, UID: 5, GID: 6}, "dir/program": program, "again": program, "dir/third": program,
		"dotted": coloured, "absolute": plain, "no": folder, "no/folder": folder, "no/folder/entry": plain, "empty": {Type: tar.TypeReg, Mode: 0o644, Time: at},
		"link": {Type: tar.TypeSymlink, Content: "dir/program"}, "up": {Type: tar.TypeSymlink, Content: "../../etc"},
		"fifo": {Type: tar.TypeFifo, Mode: 0o622, Time: at}, "dev": folder, "old": old,
	}
	if diff := cmp.Diff(want, tree); diff != "" {
		t.Error(diff)
	}
	// Folders have their times although files were made in them later.
	for _, name := range []string{".", "dir"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.ModTime().Equal(when()) {
			t.Errorf("%s: %v, %v", name, info.ModTime(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("the root folder has the mode %v, %v", info.Mode(), err)
	}
}

// A layer is about what is below it: it replaces, hides and deletes.
func TestUnpackLayersOnTopOfEachOther(t *testing.T) {
	base := archiveOf(t, dir1("a"), file1("a/one", "1"), file1("a/two", "2"), dir1("a/sub"), file1("a/sub/three", "3"), file1("top", "t"), link1("to-a", "a"), link1("to-etc", "/etc"), dir1("etc"), file1("etc/passwd", "p"))
	for _, tt := range []struct {
		name  string
		layer []tar.Header
		want  string
	}{
		{"nothing", nil, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top"},
		{"a file goes", []tar.Header{file1("a/.wh.one", "")}, "a/ a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top"},
		{"a folder goes", []tar.Header{file1(".wh.a", "")}, "etc/ etc/passwd to-a to-etc top"},
		{"what is not there goes", []tar.Header{file1(".wh.nothing", ""), file1("b/.wh.c", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top"},
		{"a link goes, and not what it leads to", []tar.Header{file1(".wh.to-a", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-etc top"},
		{"opaque", []tar.Header{dir1("a"), file1("a/.wh..wh..opq", ""), file1("a/new", "")}, "a/ a/new etc/ etc/passwd to-a to-etc top"},
		{"opaque, said last", []tar.Header{dir1("a"), file1("a/new", ""), dir1("a/deep"), file1("a/deep/er", ""), file1("a/.wh..wh..opq", "")}, "a/ a/deep/ a/deep/er a/new etc/ etc/passwd to-a to-etc top"},
		{"opaque and nothing there", []tar.Header{file1("none/.wh..wh..opq", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top"},
		{"gone and there again", []tar.Header{file1(".wh.a", ""), dir1("a"), file1("a/new", "")}, "a/ a/new etc/ etc/passwd to-a to-etc top"},
		{"a file in place of a folder", []tar.Header{file1("a", "now")}, "a etc/ etc/passwd to-a to-etc top"},
		{"a folder in place of a file", []tar.Header{dir1("top"), file1("top/in", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top/ top/in"},
		{"a folder in place of a link", []tar.Header{dir1("to-a"), file1("to-a/in", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a/ to-a/in to-etc top"},
		{"a link in place of a folder", []tar.Header{link1("a", "etc")}, "a etc/ etc/passwd to-a to-etc top"},
		{"through a link", []tar.Header{file1("to-a/new", "")}, "a/ a/new a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top"},
		{"through an absolute link, which stays in", []tar.Header{file1("to-etc/shadow", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd etc/shadow to-a to-etc top"},
		{"above the top", []tar.Header{file1("../../../x", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top x"},
		{"twice", []tar.Header{file1("x", "1"), dir1("x"), file1("x/y", "2")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd to-a to-etc top x/ x/y"},
		{"a link to nowhere as a folder", []tar.Header{link1("gone", "not/there"), file1("gone/x", "")}, "a/ a/one a/sub/ a/sub/three a/two etc/ etc/passwd gone not/ not/there/ not/there/x to-a to-etc top"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := applyLayers(t, dir, false, base, archiveOf(t, tt.layer...)); err != nil {
				t.Fatal(err)
			}
			if got := namesOf(readTree(t, dir)); got != tt.want {
				t.Errorf("there is\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// What cannot be true, or is made to do harm, is an error, and nothing outside of the
// root changes.
func TestUnpackRefuses(t *testing.T) {
	outside := t.TempDir()
	canary := filepath.Join(outside, "canary")
	if err := os.WriteFile(canary, []byte("sings"), 0o600); err != nil {
		t.Fatal(err)
	}
	bomb := with(file1("bomb", ""), func(h *tar.Header) { h.Linkname = strings.Repeat("x", 5000) })
	for _, tt := range []struct {
		name  string
		layer []byte
		want  string
	}{
		{"a whiteout of nothing", archiveOf(t, file1("a/.wh.", "")), "deletes no file"},
		{"a whiteout of the folder", archiveOf(t, file1("a/.wh..", "")), "deletes no file"},
		{"a whiteout of the one above", archiveOf(t, file1("a/.wh...", "")), "deletes no file"},
		{"a link to a file outside", archiveOf(t, same1("x", canary)), "no such file"},
		{"a link that climbs to one", archiveOf(t, same1("x", "../../../../../../../.."+canary)), "no such file"},
		{"a file below a file", archiveOf(t, file1("a", ""), file1("a/b", "")), "a folder is needed"},
		{"a file below a loop", archiveOf(t, link1("a", "b"), link1("b", "a"), file1("a/x", "")), "too many levels"},
		{"too many bytes", archiveOf(t, bomb), "made to fill the disk"},
		{"an unknown type", archiveOf(t, with(file1("a", ""), func(h *tar.Header) { h.Typeflag, h.Linkname = 'Z', "" })), "an entry of type"},
		{"half an archive", archiveOf(t, file1("a", strings.Repeat("x", 2000)))[:1000], "unexpected EOF"},
		{"no archive", bytes.Repeat([]byte("no tar "), 200), "invalid tar header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			err := inRoot(t, dir, func() error {
				_, err := unpack(UnpackArgs{Dest: "/", Layer: true, Limit: 4096}, bytes.NewReader(tt.layer))
				return err
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind != fault.Build {
				t.Errorf("the kind is %v", e.Kind)
			}
		})
	}
	// Links that lead out, and names that climb, mean places inside.
	dir := t.TempDir()
	layer := archiveOf(t, link1("out", outside), file1("out/canary", "dead"), link1("top", "/.."), file1("top/tmp/x", ""), file1(canary, "dead"), file1("../"+canary, "dead"))
	if err := applyLayers(t, dir, false, layer); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("outside are %v, %v", left, err)
	}
	if got, err := os.ReadFile(canary); err != nil || string(got) != "sings" {
		t.Errorf("the canary is %q, %v", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, canary)); err != nil || string(got) != "dead" {
		t.Errorf("inside it is %q, %v", got, err)
	}
}

// Nothing waits for the other end of a FIFO, whatever a layer does with its name.
func TestUnpackWaitsForNoFIFO(t *testing.T) {
	fifo := with(file1("fifo", ""), func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeFifo, "" })
	for name, next := range map[string]tar.Header{
		"deletes below it": file1("fifo/.wh.x", ""), "clears it": file1("fifo/.wh..wh..opq", ""), "writes below it": file1("fifo/x", ""),
		"replaces it": file1("fifo", "x"), "deletes it": file1(".wh.fifo", ""), "deletes below a link to it": file1("link/.wh.x", ""), "clears a link to it": file1("link/.wh..wh..opq", ""),
	} {
		if err := applyLayers(t, t.TempDir(), false, archiveOf(t, fifo, link1("link", "fifo")), archiveOf(t, next)); err != nil && !strings.Contains(err.Error(), "a folder is needed") {
			t.Errorf("a layer that %s: %v", name, err)
		}
	}
}

// An archive that ADD unpacks is no layer: it deletes nothing, and its links lead to
// places in the destination.
func TestUnpackArchive(t *testing.T) {
	for _, tt := range []struct {
		name string
		args UnpackArgs
		want map[string]node
	}{
		{"plain", UnpackArgs{}, map[string]node{
			".wh.there": {Type: tar.TypeReg, Mode: 0o644, Time: when().Unix()}, "there": {Type: tar.TypeReg, Mode: 0o644, Time: when().Unix(), Content: "here"},
			"etc": {Type: tar.TypeDir, Mode: 0o755}, "etc/new": {Type: tar.TypeReg, Mode: 0o644, Time: when().Unix()}, "link": {Type: tar.TypeSymlink, Content: "/etc"},
		}},
		{"somebody's", UnpackArgs{Owner: "7:8"}, map[string]node{
			".wh.there": {Type: tar.TypeReg, Mode: 0o644, Time: when().Unix(), UID: 7, GID: 8}, "there": {Type: tar.TypeReg, Mode: 0o644, Time: when().Unix(), Content: "here"},
			"etc": {Type: tar.TypeDir, Mode: 0o755, UID: 7, GID: 8}, "etc/new": {Type: tar.TypeReg, Mode: 0o644, Time: when().Unix(), UID: 7, GID: 8}, "link": {Type: tar.TypeSymlink, Content: "/etc", UID: 7, GID: 8},
		}},
	} {
		dir := t.TempDir()
		if err := applyLayers(t, dir, false, archiveOf(t, dir1("etc"), dir1("app"), file1("app/there", "here"))); err != nil {
			t.Fatal(err)
		}
		args := tt.args
		args.Dest = "/app"
		err := inRoot(t, dir, func() error {
			_, err := unpack(args, bytes.NewReader(archiveOf(t, with(dir1("./"), func(h *tar.Header) { h.Mode = 0o700 }), file1(".wh.there", ""), dir1("etc"), link1("link", "/etc"), file1("link/new", ""))))
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, below(readTree(t, dir), "app")); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if info, err := os.Stat(filepath.Join(dir, "app")); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: the destination has the mode %v, %v", tt.name, info.Mode(), err)
		}
	}
	dir := t.TempDir()
	var unknown []string
	err := inRoot(t, dir, func() (err error) {
		unknown, err = unpack(UnpackArgs{Dest: "/new/app", Owner: "9", Top: true}, bytes.NewReader(archiveOf(t, with(dir1("./"), func(h *tar.Header) { h.Mode = 0o700 }))))
		return err
	})
	tree := readTree(t, dir)
	if err != nil || len(unknown) > 0 || tree["new/app"].Mode != 0o700 || tree["new/app"].UID != 9 {
		t.Errorf("with its top: %+v, %v, %v", tree, unknown, err)
	}
}

// With one user only, owners stay in attributes, where a scan finds them again.
func TestUnpackLoose(t *testing.T) {
	dir := t.TempDir()
	layer := archiveOf(t, with(file1("a", ""), func(h *tar.Header) { h.Uid, h.Gid = 1000, 50 }), with(dir1("d"), func(h *tar.Header) { h.Gid = 4 }), file1("root's", ""), with(link1("l", "a"), func(h *tar.Header) { h.Uid = 3 }))
	if err := applyLayers(t, dir, true, layer); err != nil {
		t.Fatal(err)
	}
	tree := readTree(t, dir)
	if tree["a"].Attrs == "" {
		t.Skip("SKIPPED, the file system of the tests has no attributes")
	}
	if tree["a"].UID != 0 || tree["a"].Attrs != ownerAttribute+"=1000:50" || tree["d"].Attrs != ownerAttribute+"=0:4" || tree["root's"].Attrs != "" || tree["l"].UID != 0 {
		t.Errorf("%+v", tree)
	}
	err := inRoot(t, dir, func() error {
		_, files, err := scan(true, when(), nil)
		if err == nil && (files["/a"].uid != 1000 || files["/a"].gid != 50 || files["/d"].gid != 4 || len(files["/a"].attributes) > 0) {
			err = errors.New("the scan does not see the owners")
		}
		return errors.Join(err, unix.Lsetxattr("/a", ownerAttribute, []byte("nonsense"), 0))
	})
	if err != nil {
		t.Error(err)
	}
	err = inRoot(t, dir, func() error {
		_, files, err := scan(true, when(), nil)
		if err == nil && files["/a"].uid != 0 {
			err = errors.New("nonsense is an owner")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A folder has what the highest layer says of it, and nothing from the layers below.
func TestUnpackReplacesAttributesOfFolders(t *testing.T) {
	coloured := with(dir1("d"), func(h *tar.Header) {
		h.Uid, h.PAXRecords = 1000, map[string]string{xattrPrefix + "user.colour": "blue", xattrPrefix + "user.shape": "round"}
	})
	plain := with(dir1("d"), func(h *tar.Header) { h.PAXRecords = map[string]string{xattrPrefix + "user.shape": "flat"} })
	for _, singleUser := range []bool{false, true} {
		dir := t.TempDir()
		if err := applyLayers(t, dir, singleUser, archiveOf(t, coloured), archiveOf(t, plain)); err != nil {
			t.Fatal(err)
		}
		if got := readTree(t, dir)["d"]; got.Attrs != "user.shape=flat" && got.Attrs != "" || got.UID != 0 {
			t.Errorf("singleUser %v: %+v", singleUser, got)
		}
	}
}
