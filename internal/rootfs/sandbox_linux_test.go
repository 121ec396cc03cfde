package rootfs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/sandbox"
	"github.com/kn-lite/kn-lite/test/ordinary"
)

// The guests of these tests.
const (
	guestChange = "test.change" // []change
	guestTree   = "test.tree"   // → map[string]node
)

// The test binary is its own guest, as kn-lite is.
func TestMain(m *testing.M) {
	guests := Guests()
	guests[guestChange] = func(raw json.RawMessage, _ io.Reader, _ io.Writer) (any, error) {
		var all []change
		err := json.Unmarshal(raw, &all)
		for _, c := range all {
			c.apply("/")
		}
		return nil, err
	}
	guests[guestTree] = func(json.RawMessage, io.Reader, io.Writer) (any, error) { return treeInside() }
	if code, ours := sandbox.Inside(os.Args, os.Stdin, os.Stdout, guests); ours {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// treeInside is readTree of the root folder, for a guest.
func treeInside() (map[string]node, error) {
	tree, inodes := map[string]node{}, map[uint64]string{}
	err := filepath.WalkDir("/", func(at string, entry os.DirEntry, err error) error {
		if err != nil || at == "/" {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(at, "/")
		tree[name], err = readNode(at, name, info, inodes)
		return err
	})
	return tree, err
}

func openBox(t *testing.T) *sandbox.Box {
	t.Helper()
	box, err := sandbox.Open(context.Background(), sandbox.Options{Dir: t.TempDir(), Path: os.Getenv("PATH")})
	if fault.KindOf(err) == fault.Conflict {
		t.Skipf("SKIPPED, no sandbox here: %v\n%s", err, fault.HintOf(err))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return box
}

// What an overlay has in its upper folder, unpacked on what is below, is what the
// overlay shows.
func TestChangesAreTheWay(t *testing.T) {
	box := openBox(t)
	if !box.Overlays() {
		t.Skip("SKIPPED, no overlays here")
	}
	identity, _ := box.Identity()
	singleUser, times := identity == sandbox.Single, 0
	home := box.Home()
	rapid.Check(t, func(rt *rapid.T) {
		if times++; times > 12 && os.Getenv("FULL") == "" {
			return
		}
		first, second := changesOf(treeNames()).Draw(rt, "first"), changesOf(treeNames()).Draw(rt, "second")
		call := func(c sandbox.Call, guest string, args, reply any, in io.Reader, out io.Writer) {
			rt.Helper()
			c.Guest, c.Args, c.Reply, c.In, c.Out = guest, args, reply, in, out
			if err := box.Call(t.Context(), c); err != nil {
				rt.Fatalf("%s: %v", guest, err)
			}
		}
		folder := func(name string) string {
			dir := filepath.Join(home, fmt.Sprintf("%s-%d", name, times))
			if err := box.Folder(dir); err != nil {
				rt.Fatal(err)
			}
			return dir
		}
		lower, upper, work := folder("lower"), folder("upper"), folder("work")
		call(sandbox.Call{Root: lower}, guestChange, first, nil, nil, nil)
		overlay := sandbox.Call{Overlay: &sandbox.Overlay{Lower: []string{lower}, Upper: upper, Work: work, Fresh: true}}
		call(overlay, guestChange, second, nil, nil, nil)
		overlay.Overlay.Fresh = false
		want := map[string]node{}
		call(overlay, guestTree, nil, &want, nil, nil)
		apart := overlay
		apart.Apart = true
		var layer bytes.Buffer
		var reply, counted ChangesReply
		call(apart, GuestChanges, ChangesArgs{Epoch: later(), SingleUser: singleUser}, &reply, nil, &layer)
		call(apart, GuestChanges, ChangesArgs{Epoch: later(), SingleUser: singleUser, Count: true}, &counted, nil, nil)
		if counted != reply {
			rt.Errorf("counted %+v, and wrote %+v", counted, reply)
		}
		got := map[string]node{}
		call(sandbox.Call{Root: lower}, GuestUnpack, UnpackArgs{Dest: "/", Layer: true, SingleUser: singleUser}, nil, bytes.NewReader(layer.Bytes()), nil)
		call(sandbox.Call{Root: lower}, guestTree, nil, &got, nil, nil)
		for _, tree := range []map[string]node{want, got} {
			withoutTimes(tree)
			if singleUser {
				withoutOwners(tree)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Errorf("%s\nthe layer:\n%s", diff, strings.Join(entriesOf(t, layer.Bytes()), "\n"))
		}
		for _, dir := range []string{lower, upper, work} {
			if err := box.Remove(t.Context(), dir); err != nil {
				rt.Error(err)
			}
		}
	})
}

// withoutTimes is for trees whose files got their times a moment ago: a layer has whole
// seconds, and a file system has more.
func withoutTimes(tree map[string]node) {
	for name, n := range tree {
		n.Time = 0
		tree[name] = n
	}
}

// For a user who owns nothing, layers are what they are for root, as far as one user can
// have them.
func TestLayersOfAnOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, the other tests run as one")
	}
	ordinary.Run(t, "TestChangesAreTheWay")
}
