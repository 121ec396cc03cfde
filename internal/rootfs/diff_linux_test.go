package rootfs

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// later is after all times of these tests.
func later() time.Time { return time.Unix(2_000_000_000, 0) }

// change is one thing that a program does to the files below a folder.
type change struct {
	What    string
	Path    string // no slash at its beginning
	Other   string // the target of a link
	Content string
	Mode    uint32
	Owner   int
}

// apply does it below dir, as far as it can be done: a model of what programs try.
func (c change) apply(dir string) {
	at := path.Join(dir, c.Path)
	if info, err := os.Stat(path.Dir(at)); err == nil && !info.IsDir() {
		return // os.RemoveAll would wait for the other end of a FIFO
	}
	switch c.What {
	case "write":
		c.write(at, os.O_CREATE|os.O_TRUNC)
	case "append":
		c.write(at, os.O_APPEND)
	case "folder":
		_ = os.MkdirAll(at, 0o755)
	case "remove":
		_ = os.RemoveAll(at)
	case "replace folder": // which an overlay marks as opaque
		_ = os.RemoveAll(at)
		_ = os.Mkdir(at, 0o755)
	case "symlink":
		_ = os.Symlink(c.Other, at)
	case "link":
		_ = os.Link(path.Join(dir, c.Other), at)
	case "rename":
		_ = os.Rename(path.Join(dir, c.Other), at)
	case "chmod":
		_ = unix.Chmod(at, c.Mode)
	case "chown":
		_ = os.Lchown(at, c.Owner, c.Owner+1)
	case "attribute":
		_ = unix.Lsetxattr(at, "user.test", []byte(c.Content), 0)
	case "fifo":
		_ = unix.Mkfifo(at, 0o600)
	case "touch":
		_ = os.Chtimes(at, when().Add(time.Duration(c.Owner)*time.Hour), when().Add(time.Duration(c.Owner)*time.Hour))
	}
}

// write does not wait for a reader of a FIFO.
func (c change) write(at string, flags int) {
	f, err := os.OpenFile(at, os.O_WRONLY|unix.O_NONBLOCK|flags, 0o644)
	if err != nil {
		return
	}
	_, _ = f.WriteString(c.Content)
	_ = f.Close()
}

// settle gives the files below dir times that do not depend on the test's: of links,
// which have none in a layer that counts, too.
func settle(dir string) error {
	return filepath.WalkDir(dir, func(at string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() && entry.Type()&os.ModeNamedPipe == 0 {
			return err
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) < time.Hour {
			return os.Chtimes(at, when(), when())
		}
		return nil
	})
}

// changesOf draws changes to a small set of paths, so that they meet.
func changesOf(names []string) *rapid.Generator[[]change] {
	name := rapid.SampledFrom(names)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) change {
		return change{
			What: rapid.SampledFrom([]string{
				"write", "write", "write", "append", "folder", "folder", "remove", "remove", "replace folder", "symlink", "link", "rename", "chmod", "chown", "attribute", "fifo", "touch",
			}).Draw(t, "what"),
			Path: name.Draw(t, "path"), Other: name.Draw(t, "other"),
			Content: rapid.SampledFrom([]string{"", "a", "b", strings.Repeat("c", 10_000)}).Draw(t, "content"),
			Mode:    rapid.SampledFrom([]uint32{0, 0o600, 0o755, 0o4755, 0o1777}).Draw(t, "mode"),
			Owner:   rapid.IntRange(0, 3).Draw(t, "owner"),
		}
	}), 0, 25)
}

func treeNames() []string {
	return []string{"a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/a/b", "b/a/a", "ü x", "a/ü x"}
}

// What a scan and a diff make of the way from one tree to another, unpacked on the
// first, is the second: unpack(diff(a, b)) on a == b.
func TestDiffIsTheWay(t *testing.T) {
	for _, singleUser := range []bool{false, true} {
		t.Run(fmt.Sprintf("singleUser=%v", singleUser), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				dir, other := t.TempDir(), t.TempDir()
				first, second := changesOf(treeNames()).Draw(rt, "first"), changesOf(treeNames()).Draw(rt, "second")
				var layer, base bytes.Buffer
				err := inRoot(t, dir, func() error {
					start, err := diffAfter(first, State{}, singleUser, &base)
					if err != nil {
						return err
					}
					_, err = diffAfter(second, start, singleUser, &layer)
					return err
				})
				if err != nil {
					rt.Fatal(err)
				}
				if err := applyLayers(t, other, singleUser, base.Bytes(), layer.Bytes()); err != nil {
					rt.Fatal(err)
				}
				want, got := readTree(t, dir), readTree(t, other)
				if singleUser {
					withoutOwners(want)
					withoutOwners(got)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Fatalf("%s\nthe layer:\n%s", diff, strings.Join(entriesOf(t, layer.Bytes()), "\n"))
				}
			})
		})
	}
}

// diffAfter makes changes and writes the layer of what they have changed.
func diffAfter(changes []change, before State, singleUser bool, out *bytes.Buffer) (State, error) {
	for _, c := range changes {
		c.apply("/")
	}
	raw, err := json.Marshal(before)
	if err = errors.Join(err, settle("/")); err != nil {
		return nil, err
	}
	return diff(DiffArgs{Epoch: later(), SingleUser: singleUser}, bytes.NewReader(raw), out)
}

// withoutOwners is for trees that are read from outside, where an owner of one user is an
// attribute, and for changes by a root who has more than one user.
func withoutOwners(tree map[string]node) {
	for name, n := range tree {
		n.UID, n.GID = 0, 0
		if at := strings.Index(n.Attrs, ownerAttribute); at >= 0 {
			rest, _, _ := strings.Cut(n.Attrs[at:], " ")
			n.Attrs = strings.TrimSpace(strings.Replace(n.Attrs, rest, "", 1))
		}
		tree[name] = n
	}
}

// A layer holds what has changed and the folders it is in, and nothing else.
func TestDiffIsSmall(t *testing.T) {
	base := []change{{What: "folder", Path: "a/deep"}, {What: "write", Path: "a/deep/file", Content: "1"}, {What: "write", Path: "a/other", Content: "1"}, {What: "link", Path: "a/same", Other: "a/other"}, {What: "folder", Path: "b/c"}}
	for _, tt := range []struct {
		name   string
		change []change
		want   []string
	}{
		{"nothing", nil, nil},
		{"written again", []change{{What: "write", Path: "a/deep/file", Content: "1"}}, nil},
		{"content", []change{{What: "write", Path: "a/deep/file", Content: "2"}}, []string{"5 a", "5 a/deep", "0 a/deep/file"}},
		{"mode", []change{{What: "chmod", Path: "a/deep/file", Mode: 0o600}}, []string{"5 a", "5 a/deep", "0 a/deep/file"}},
		{"mode of a folder", []change{{What: "chmod", Path: "a/deep", Mode: 0o700}}, []string{"5 a", "5 a/deep"}},
		{"owner", []change{{What: "chown", Path: "a/deep/file", Owner: 5}}, []string{"5 a", "5 a/deep", "0 a/deep/file"}},
		{"gone", []change{{What: "remove", Path: "a/deep/file"}}, []string{"5 a", "5 a/deep", "0 a/deep/.wh.file"}},
		{"a folder gone", []change{{What: "remove", Path: "a/deep"}}, []string{"5 a", "0 a/.wh.deep"}},
		{"one name of a file gone", []change{{What: "remove", Path: "a/same"}}, []string{"5 a", "0 a/.wh.same"}},
		{"a file with two names", []change{{What: "append", Path: "a/same", Content: "2"}}, []string{"5 a", "0 a/other", "1 a/same a/other"}},
		{"one more name", []change{{What: "link", Path: "a/third", Other: "a/same"}}, []string{"5 a", "0 a/other", "1 a/same a/other", "1 a/third a/other"}},
		{"a new folder", []change{{What: "folder", Path: "b/d"}}, []string{"5 b", "5 b/d"}},
		{"a link", []change{{What: "symlink", Path: "b/l", Other: "/nowhere"}}, []string{"5 b", "2 b/l /nowhere"}},
		{"a file for a folder", []change{{What: "remove", Path: "a/deep"}, {What: "write", Path: "a/deep", Content: "x"}}, []string{"5 a", "0 a/deep"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var layer bytes.Buffer
			err := inRoot(t, t.TempDir(), func() error {
				start, err := diffAfter(base, State{}, false, &bytes.Buffer{})
				if err != nil {
					return err
				}
				_, err = diffAfter(tt.change, start, false, &layer)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, entriesOf(t, layer.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What an image cannot hold is an error, and what ends with its process is left out.
func TestDiffRefuses(t *testing.T) {
	layerAfter := func(do func() error) (entries []string, err error) {
		var layer bytes.Buffer
		err = inRoot(t, t.TempDir(), func() error {
			if err := do(); err != nil {
				return err
			}
			_, err := diff(DiffArgs{Epoch: later()}, strings.NewReader("{}"), &layer)
			return err
		})
		if err != nil {
			return nil, err
		}
		return entriesOf(t, layer.Bytes()), nil
	}
	if _, err := layerAfter(func() error { return os.WriteFile("/.wh.x", nil, 0o644) }); err == nil || !strings.Contains(err.Error(), "names that begin with .wh.") {
		t.Errorf("a whiteout's name: %v", err)
	}
	err := errors.New("not asked")
	_, err = layerAfter(func() error { err = unix.Mknod("/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); return err })
	if err == nil || !strings.Contains(err.Error(), "device") && !errors.Is(err, unix.EPERM) {
		t.Errorf("a device: %v", err)
	}
	entries, err := layerAfter(func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: "/socket"}), unix.Close(fd), os.WriteFile("/file", nil, 0o644))
	})
	if err != nil || slices.Contains(entries, "0 socket") || !slices.Contains(entries, "0 file") {
		t.Errorf("beside a socket: %q, %v", entries, err)
	}
	if _, err := diff(DiffArgs{}, strings.NewReader("no JSON"), &bytes.Buffer{}); err == nil {
		t.Error("no JSON is a state")
	}
}

// Mount points go with what was mounted on them, unless somebody has used them.
func TestDiffRemovesMountPoints(t *testing.T) {
	dir := t.TempDir()
	err := inRoot(t, dir, func() error {
		if err := errors.Join(os.MkdirAll("/run/empty", 0o755), os.MkdirAll("/run/full", 0o755), os.WriteFile("/run/full/x", nil, 0o644), os.WriteFile("/none", nil, 0o644), os.WriteFile("/some", []byte("x"), 0o644)); err != nil {
			return err
		}
		_, err := diff(DiffArgs{Epoch: later(), Remove: []string{"/run/empty", "/run/full", "/run", "/none", "/some", "/never"}}, strings.NewReader("{}"), &bytes.Buffer{})
		return err
	})
	if got := namesOf(readTree(t, dir)); err != nil || got != "run/ run/full/ run/full/x some" {
		t.Errorf("left are %s, %v", got, err)
	}
}

// The content of a file that has not been touched is not read again; one that was
// changed and got its time back, is.
func TestScanTrustsStamps(t *testing.T) {
	err := inRoot(t, t.TempDir(), func() error {
		if err := errors.Join(os.WriteFile("/a", []byte("1"), 0o644), os.Chtimes("/a", when(), when())); err != nil {
			return err
		}
		before, _, err := scan(false, later(), nil)
		if err != nil {
			return err
		}
		claimed := maps.Clone(before)
		claimed["/a"] = Mark{Looks: before["/a"].Looks, Stamp: before["/a"].Stamp, Content: "claimed"}
		if now, _, err := scan(false, later(), claimed); err != nil || now["/a"].Content != "claimed" {
			return fmt.Errorf("it was read again: %v, %w", now["/a"], err)
		}
		if err := errors.Join(os.WriteFile("/a", []byte("2"), 0o644), os.Chtimes("/a", when(), when())); err != nil {
			return err
		}
		if now, _, err := scan(false, later(), claimed); err != nil || now["/a"].Content == "claimed" || now["/a"].Looks != before["/a"].Looks {
			return fmt.Errorf("the change is not seen: %v, %w", now["/a"], err)
		}
		// Times after the epoch do not count.
		now, _, err := scan(false, when().Add(-time.Hour), nil)
		early, _, earlyErr := scan(false, when().Add(-time.Hour), nil)
		if err = errors.Join(err, earlyErr, os.Chtimes("/a", when().Add(time.Hour), when().Add(time.Hour))); err != nil {
			return err
		}
		if early, _, err = scan(false, when().Add(-time.Hour), early); err != nil || early["/a"].Looks != now["/a"].Looks {
			return fmt.Errorf("a time after the epoch counts: %w", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// FuzzUnpack unpacks what somebody has sent on a small image, as a layer and as an
// archive. Whatever it is, nothing outside changes, and what is inside can be read,
// made a layer of, and unpacked again.
func FuzzUnpack(f *testing.F) {
	f.Add(archiveOf(f, dir1("a"), file1("a/one", "1"), link1("l", "/a"), file1("l/two", "2"), same1("same", "a/one")), true)
	f.Add(archiveOf(f, file1("etc/.wh.passwd", ""), file1("etc/.wh..wh..opq", ""), file1("../../x", "")), true)
	f.Add(archiveOf(f, link1("a", "../.."), file1("a/x", "y"), with(dir1("./"), func(h *tar.Header) { h.Mode = 0 })), false)
	f.Add(archiveOf(f, link1("a", "b"), link1("b", "a"), file1("a/x", "y")), false)
	f.Add(archiveOf(f, with(file1("sparse", ""), func(h *tar.Header) { h.Mode, h.Uid = 0o7777, 1<<21 }), file1(".wh.", "")), true)
	f.Fuzz(func(t *testing.T, archive []byte, layer bool) {
		outside := t.TempDir()
		canary, dir, again := filepath.Join(outside, "canary"), filepath.Join(outside, "root"), t.TempDir()
		if err := errors.Join(os.WriteFile(canary, []byte("sings"), 0o600), os.Mkdir(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		if err := applyLayers(t, dir, false, archiveOf(t, dir1("etc"), file1("etc/passwd", "root:x:0:0::/:/bin/sh\n"), dir1("app"))); err != nil {
			t.Fatal(err)
		}
		var whole bytes.Buffer
		unpackErr := inRoot(t, dir, func() error {
			args := UnpackArgs{Dest: "/", Layer: true, Limit: 1 << 20}
			if !layer {
				args = UnpackArgs{Dest: "/app", Limit: 1 << 20}
			}
			_, err := unpack(args, bytes.NewReader(archive))
			return err
		})
		failIfBroken(t, unpackErr)
		if left, err := os.ReadDir(outside); err != nil || len(left) != 2 {
			t.Fatalf("outside are %v, %v", left, err)
		}
		if got, err := os.ReadFile(canary); err != nil || string(got) != "sings" {
			t.Fatalf("the canary is %q, %v", got, err)
		}
		diffErr := inRoot(t, dir, func() error {
			// What came before an error may have the time of this very moment.
			if err := settle("/"); err != nil {
				return err
			}
			_, err := diff(DiffArgs{Epoch: later()}, strings.NewReader("{}"), &whole)
			return err
		})
		if diffErr != nil {
			failIfBroken(t, diffErr)
			return // what an image cannot hold
		}
		if err := applyLayers(t, again, false, whole.Bytes()); err != nil {
			t.Fatalf("its own layer cannot be unpacked: %v", err)
		}
		if diff := cmp.Diff(readTree(t, dir), readTree(t, again)); diff != "" {
			t.Error(diff)
		}
	})
}

// failIfBroken is for input that may be refused, and must not break anything.
func failIfBroken(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.HasPrefix(err.Error(), "panic") || err.Error() == "hangs") {
		t.Fatal(err)
	}
}
