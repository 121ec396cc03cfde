package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func shifted(n int) mapping {
	return mapping{identity: Shifted, shiftTo: shiftedTo, shiftCount: idCount, high: true}.forBox(n)
}

// Builds at the same time are different users to the kernel.
func TestBoxesShareNoIDs(t *testing.T) {
	for n := range maxBoxes {
		a, b := shifted(n), shifted(n+1)
		if a.shiftTo+a.shiftCount > b.shiftTo {
			t.Fatalf("box %d has ids up to %d, the next one begins at %d", n, a.shiftTo+a.shiftCount-1, b.shiftTo)
		}
		if a.shiftTo+a.shiftCount > highTo {
			t.Fatalf("box %d reaches the ids that all have", n)
		}
	}
	few := mapping{identity: Shifted, shiftTo: 1, shiftCount: 65535}
	if got := few.forBox(3); got.shiftTo != 1 {
		t.Errorf("a container with few ids gives box 3 those from %d", got.shiftTo)
	}
	user := mapping{identity: Ranges, uid: 1000, uids: idRange{100000, 65536}, gids: idRange{100000, 65536}}
	if diff := cmp.Diff(user, user.forBox(5), cmp.AllowUnexported(mapping{}, idRange{})); diff != "" {
		t.Error(diff)
	}
}

func TestFirstAndHighestID(t *testing.T) {
	for name, tt := range map[string]struct {
		ids     mapping
		first   int
		highest int64
	}{
		"root":                       {shifted(1), shiftedTo + idCount, highestID},
		"root without high ids":      {mapping{identity: Shifted, shiftTo: shiftedTo, shiftCount: idCount}, shiftedTo, idCount - 1},
		"root in a container":        {mapping{identity: Shifted, shiftTo: 1, shiftCount: 65000}, 1, 64999},
		"a user with ranges":         {mapping{identity: Ranges, uids: idRange{100000, 65536}, gids: idRange{200000, 1000}}, 100000, 1000},
		"a user with nobody besides": {mapping{identity: Single, uid: 1000, gid: 1000}, 1000, highestID},
	} {
		if first, highest := tt.ids.first(), tt.ids.highest(); first != tt.first || highest != tt.highest {
			t.Errorf("%s: from %d, up to %d inside; want %d, %d", name, first, highest, tt.first, tt.highest)
		}
	}
}

func TestBoxAvoidsIDsOfOthers(t *testing.T) {
	box := shifted(0)
	for name, tt := range map[string]struct {
		assigned []idRange
		want     bool
	}{
		"nobody":             {nil, false},
		"far below":          {[]idRange{{100000, 65536}}, false},
		"just below":         {[]idRange{{shiftedTo - 10, 10}}, false},
		"the first one":      {[]idRange{{shiftedTo - 10, 11}}, true},
		"the last one":       {[]idRange{{shiftedTo + idCount - 1, 1}}, true},
		"just above":         {[]idRange{{shiftedTo + idCount, 65536}}, false},
		"all of them":        {[]idRange{{0, allIDs}}, true},
		"the second of two":  {[]idRange{{100000, 65536}, {shiftedTo + 5, 1}}, true},
		"inside of the next": {[]idRange{{shiftedTo + idCount + 5, 10}}, false},
	} {
		if got := box.overlaps(tt.assigned); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	// A user's own range is theirs, and a container's few ids are no one else's.
	all := []idRange{{0, allIDs}}
	if (mapping{identity: Ranges, uids: idRange{100000, 65536}}).overlaps(all) || (mapping{identity: Shifted, shiftTo: 1, shiftCount: 65535}).overlaps(all) {
		t.Error("ids that are given to us count as somebody else's")
	}
}

func TestMapsOfTheProcess(t *testing.T) {
	var attr syscall.SysProcAttr
	shifted(2).attributes(&attr)
	want := []syscall.SysProcIDMap{{ContainerID: 0, HostID: shiftedTo + 2*idCount, Size: idCount}, {ContainerID: idCount, HostID: highTo, Size: highCount}}
	if diff := cmp.Diff(want, attr.UidMappings) + cmp.Diff(want, attr.GidMappings); diff != "" || !attr.GidMappingsEnableSetgroups || len(attr.AmbientCaps) == 0 {
		t.Errorf("root: %+v %s", attr, diff)
	}
	for _, m := range want {
		if m.HostID == 0 || m.HostID+m.Size > allIDs {
			t.Errorf("%+v has ids of the host", m)
		}
	}
	attr = syscall.SysProcAttr{}
	mapping{identity: Single, uid: 1000, gid: 100}.attributes(&attr)
	if diff := cmp.Diff([]syscall.SysProcIDMap{{HostID: 1000, Size: 1}}, attr.UidMappings) + cmp.Diff([]syscall.SysProcIDMap{{HostID: 100, Size: 1}}, attr.GidMappings); diff != "" || attr.GidMappingsEnableSetgroups || attr.AmbientCaps != nil {
		t.Errorf("a single user: %+v %s", attr, diff)
	}
	attr = syscall.SysProcAttr{}
	mapping{identity: Ranges, uid: 1000}.attributes(&attr)
	if attr.UidMappings != nil || attr.GidMappings != nil {
		t.Errorf("newuidmap's work was done: %+v", attr)
	}
}

func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// newuidmap gets the user as root inside, and the range behind it.
func TestRangesAreWritten(t *testing.T) {
	dir := t.TempDir()
	m := mapping{identity: Ranges, uid: 1000, gid: 100, uids: idRange{100000, 65536}, gids: idRange{200000, 1000}}
	m.newuid = script(t, dir, "newuidmap", `echo "u $* $(env | grep -c SECRET)" >> `+dir+"/said")
	m.newgid = script(t, dir, "newgidmap", `echo "g $*" >> `+dir+"/said")
	t.Setenv("SECRET", "1")
	if err := m.write(t.Context(), 42); err != nil {
		t.Fatal(err)
	}
	said, _ := os.ReadFile(filepath.Join(dir, "said"))
	if want := "u 42 0 1000 1 1 100000 65536 0\ng 42 0 100 1 1 200000 1000\n"; string(said) != want {
		t.Errorf("they were told %q, want %q", said, want)
	}
	m.newuid = script(t, dir, "newuidmap", `echo "uid range [0-1) -> [1000-1001) not allowed" >&2; exit 1`)
	if err := m.write(t.Context(), 42); err == nil || !strings.Contains(err.Error(), "newuidmap: exit status 1: uid range") {
		t.Errorf("a refusal is %v", err)
	}
}

func TestLookPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(first, "prog"), nil, 0o644); err != nil { // not for running
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(first, "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := script(t, second, "prog", "")
	if got, err := lookPath(first+":.::relative:"+second, "prog"); err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	// A folder that is not absolute is whose who wrote the project.
	t.Chdir(second)
	for _, path := range []string{".", "", "./", first} {
		if got, err := lookPath(path, "prog"); err == nil {
			t.Errorf("in %q there is %q", path, got)
		}
	}
	if got, err := lookPath(first, "other"); err == nil || !strings.Contains(err.Error(), "uidmap") {
		t.Errorf("a folder is a program: %q, %v", got, err)
	}
}

// A map with a gap has the ids before it only.
func TestMappedIDs(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]int{
		"0 0 4294967295\n":                     allIDs,
		"0 1000 1\n1 100000 65536\n":           65537,
		"0 1000 1\n5 100000 65536\n":           1,
		"1 100000 65536\n":                     0,
		"":                                     0,
		"no map\n":                             0,
		"0 1000 1\n1 100000 10\n11 200000 5\n": 16,
	} {
		file := filepath.Join(dir, "map")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := mappedIDs(file); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if got := mappedIDs(filepath.Join(dir, "none")); got != 0 {
		t.Errorf("no file: %d", got)
	}
}

func TestEachRange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "subuid")
	if err := os.WriteFile(file, []byte("a:1:2\n a:3:4 \nb:5\nc:6:0\nd:-1:x\n\na:7:8:9\ne:10:11"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []idRange
	if err := eachRange(file, func(_ string, r idRange) bool { got = append(got, r); return false }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]idRange{{1, 2}, {3, 4}, {10, 11}}, got, cmp.AllowUnexported(idRange{})); diff != "" {
		t.Error(diff)
	}
}

// What newuidmap refuses is another kind of error: the box does with one user then.
func TestHostIDs(t *testing.T) {
	root := &Box{ids: shifted(0)}
	if uid, gid, ok := root.HostIDs(10, 20); uid != shiftedTo+10 || gid != shiftedTo+20 || !ok {
		t.Errorf("%d, %d, %t", uid, gid, ok)
	}
	if _, _, ok := root.HostIDs(0, idCount); ok {
		t.Error("an id beyond the range has one outside")
	}
	if _, _, ok := (&Box{ids: mapping{identity: Ranges}}).HostIDs(0, 0); ok {
		t.Error("a user gives files away")
	}
}
