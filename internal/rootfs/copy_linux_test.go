package rootfs

import (
	"archive/tar"
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// stage is an image to copy from and to.
func stage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	layer := archiveOf(
		t,
		dir1("etc"), file1("etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n"), file1("etc/group", "root:x:0:\nstaff:x:50:\n"),
		dir1("src"), file1("src/a.txt", "a"), file1("src/b.txt", "b"), dir1("src/sub"), file1("src/sub/c.go", "c"), file1("src/odd[1].txt", "odd"),
		link1("src/link", "a.txt"), link1("src/gone", "nowhere"), link1("to-src", "src"), same1("src/same.txt", "src/a.txt"),
		dir1("app"), file1("app/old", "old"), dir1("app/folder"), link1("current", "app"),
	)
	if err := applyLayers(t, dir, false, layer); err != nil {
		t.Fatal(err)
	}
	return dir
}

// COPY puts files where they belong, with the owner and the mode that it names.
func TestPut(t *testing.T) {
	two := func(t *testing.T) []byte {
		return archiveOf(t, dir1("./"), file1("x", "new"), dir1("sub"), with(file1("sub/y", "y"), func(h *tar.Header) { h.Mode = 0o755 }), same1("same", "x"))
	}
	one := func(t *testing.T) []byte { return archiveOf(t, file1("x", "new")) }
	at := when().Unix()
	for _, tt := range []struct {
		name    string
		args    PutArgs
		archive func(*testing.T) []byte
		want    map[string]node // of what is looked at
		unknown string
		err     string
	}{
		{"a folder", PutArgs{Dest: "/app"}, two, map[string]node{
			"app/x": {Type: '0', Mode: 0o644, Content: "new", Time: at, Same: "app/same"}, "app/sub/y": {Type: '0', Mode: 0o755, Content: "y", Time: at}, "app/old": {Type: '0', Mode: 0o644, Content: "old", Time: at},
		}, "", ""},
		{"a new folder", PutArgs{Dest: "/new/deep", Owner: "app", Mode: "600"}, two, map[string]node{
			"new": {Type: '5', Mode: 0o600, UID: 1000, GID: 1001}, "new/deep/x": {Type: '0', Mode: 0o600, UID: 1000, GID: 1001, Content: "new", Time: at, Same: "new/deep/same"},
			"new/deep/sub": {Type: '5', Mode: 0o600, UID: 1000, GID: 1001},
		}, "", ""},
		{"symbolic modes", PutArgs{Dest: "/app", Mode: "u=rwX,go="}, two, map[string]node{
			"app/x": {Type: '0', Mode: 0o600, Content: "new", Time: at, Same: "app/same"}, "app/sub/y": {Type: '0', Mode: 0o700, Content: "y", Time: at}, "app/sub": {Type: '5', Mode: 0o700},
		}, "", ""},
		{"a group", PutArgs{Dest: "/app", Owner: "7:staff"}, one, map[string]node{"app/x": {Type: '0', Mode: 0o644, UID: 7, GID: 50, Content: "new", Time: at}}, "", ""},
		{"nobody", PutArgs{Dest: "/app", Owner: "ghost"}, one, map[string]node{"app/x": {Type: '0', Mode: 0o644, Content: "new", Time: at}}, `user "ghost" is not in the image's /etc/passwd`, ""},
		{"one file under a name", PutArgs{Dest: "/app/renamed", Single: true}, one, map[string]node{"app/renamed": {Type: '0', Mode: 0o644, Content: "new", Time: at}}, "", ""},
		{"one file over another", PutArgs{Dest: "/app/old", Single: true}, one, map[string]node{"app/old": {Type: '0', Mode: 0o644, Content: "new", Time: at}}, "", ""},
		{"one file into a folder", PutArgs{Dest: "/app", Single: true}, one, map[string]node{"app/x": {Type: '0', Mode: 0o644, Content: "new", Time: at}}, "", ""},
		{"through a link", PutArgs{Dest: "/current"}, one, map[string]node{"app/x": {Type: '0', Mode: 0o644, Content: "new", Time: at}, "current": {Type: '2', Content: "app"}}, "", ""},
		{"over a link", PutArgs{Dest: "/src/link", Single: true}, one, map[string]node{"src/link": {Type: '2', Content: "a.txt"}, "src/a.txt": {Type: '0', Mode: 0o644, Content: "new", Time: at}}, "", ""},
		{"a file over a folder", PutArgs{Dest: "/app"}, func(t *testing.T) []byte { return archiveOf(t, file1("folder", "")) }, nil, "", "is a folder in the image"},
		{"a folder over a file", PutArgs{Dest: "/app"}, func(t *testing.T) []byte { return archiveOf(t, dir1("old"), file1("old/x", "")) }, nil, "", "is a file in the image"},
		{"below a file", PutArgs{Dest: "/app/old/x"}, one, nil, "", "a folder is needed"},
		{"no mode", PutArgs{Dest: "/app", Mode: "rwx!"}, one, nil, "", "is no mode"},
		{"out of the destination", PutArgs{Dest: "/app"}, func(t *testing.T) []byte { return archiveOf(t, file1("../../x", "new")) }, map[string]node{"app/x": {Type: '0', Mode: 0o644, Content: "new", Time: at}}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, archive := stage(t), tt.archive(t)
			var unknown []string
			err := inRoot(t, dir, func() (err error) {
				unknown, err = put(tt.args, bytes.NewReader(archive))
				return err
			})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || strings.Join(unknown, " ") != tt.unknown {
				t.Fatalf("unknown are %q, %v", unknown, err)
			}
			tree := readTree(t, dir)
			for name, want := range tt.want {
				got := tree[name]
				if tree["src/same.txt"].Same != "" && strings.HasPrefix(name, "src/") {
					got.Same = "" // not what this is about
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
		})
	}
}

// COPY --from finds its sources, and takes from them what is not excluded.
func TestMatchAndTake(t *testing.T) {
	dir := stage(t)
	for _, tt := range []struct {
		patterns, exclude []string
		want              string // entries of the archive
		err               string
	}{
		{[]string{"src/a.txt"}, nil, "0 a.txt", ""},
		{[]string{"/src/*.txt"}, nil, "0 a.txt, 0 b.txt, 0 odd[1].txt, 1 same.txt a.txt", ""},
		{[]string{"src/odd[1].txt"}, nil, "0 odd[1].txt", ""},
		{[]string{"src/link"}, nil, "0 link", ""},
		{[]string{"to-src/sub"}, nil, "5 ., 0 c.go", ""},
		{[]string{"to-src"}, []string{"*.txt", "gone"}, "5 ., 2 link a.txt, 5 sub, 0 sub/c.go", ""},
		{[]string{"src"}, []string{"**", "!sub"}, "5 ., 5 sub, 0 sub/c.go", ""},
		{[]string{"src/*.md"}, nil, "", ""},
		{[]string{"../../src/sub"}, nil, "5 ., 0 c.go", ""},
		{[]string{"src/none"}, nil, "", "there is no such file in the stage"},
		{[]string{"none/*"}, nil, "", "there is no such file in the stage"},
		{[]string{"src/gone"}, nil, "", "leads nowhere"},
		{[]string{"src/[a"}, nil, "", "syntax error"},
		{[]string{"src"}, []string{"[a"}, "", "--exclude"},
	} {
		var out bytes.Buffer
		err := inRoot(t, dir, func() error {
			sources, err := match(MatchArgs{Patterns: tt.patterns})
			if err != nil {
				return err
			}
			return take(TakeArgs{Sources: sources, Exclude: tt.exclude}, &out)
		})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || fault.KindOf(err) != fault.Build {
				t.Errorf("%q: %v, want %q", tt.patterns, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.patterns, err)
			continue
		}
		if got := strings.Join(entriesOf(t, out.Bytes()), ", "); got != tt.want {
			t.Errorf("%q without %q: %s, want %s", tt.patterns, tt.exclude, got, tt.want)
		}
	}
	for pattern, want := range map[string]string{"": "", "a": "a", "a/b*": "a", "/a/b/[c]/d": "/a/b", "*": "", "/?": ""} {
		if got := BeforeWildcard(pattern); got != want {
			t.Errorf("before the wildcard of %q is %q, want %q", pattern, got, want)
		}
	}
}

// What a program needs is made, and said, so that it can be removed afterwards.
func TestPrepare(t *testing.T) {
	dir := stage(t)
	var got *Prepared
	err := inRoot(t, dir, func() (err error) {
		if err := os.Symlink("../run/real/resolv.conf", "/etc/resolv.conf"); err != nil {
			return err
		}
		got, err = prepare(PrepareArgs{Work: "/work/here", WorkOwner: "app", Dirs: []string{"/proc", "/a/b", "/app"}, Files: []string{"/etc/hosts", "/etc/resolv.conf", "/etc/passwd"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tree := readTree(t, dir)
	if w := tree["work/here"]; w.UID != 1000 || w.GID != 1001 || tree["etc/hosts"].Type != tar.TypeReg || tree["run/real/resolv.conf"].Type != tar.TypeReg || tree["etc/passwd"].Content == "" {
		t.Errorf("%+v", tree)
	}
	made := strings.Join(got.Made, " ")
	for _, want := range []string{"/a/b", "/a", "/proc", "/etc/hosts", "/run/real/resolv.conf", "/run/real", "/run"} {
		if !strings.Contains(" "+made+" ", " "+want+" ") {
			t.Errorf("%s is not said to be made: %s", want, made)
		}
	}
	if strings.Contains(made, "/work") || strings.Contains(made, "/app") || strings.Contains(made, "passwd") {
		t.Errorf("made are %s", made)
	}
	if err := inRoot(t, dir, func() error { _, err := prepare(PrepareArgs{Dirs: []string{"/etc/passwd/x"}}); return err }); err == nil {
		t.Error("a folder below a file")
	}
	var unknown *Prepared
	err = inRoot(t, dir, func() (err error) {
		unknown, err = prepare(PrepareArgs{Dirs: []string{"/mine"}, Owner: "ghost:50"})
		return err
	})
	if err != nil || len(unknown.Unknown) != 1 || !strings.Contains(unknown.Unknown[0], `"ghost"`) {
		t.Errorf("%+v, %v", unknown, err)
	}
}
