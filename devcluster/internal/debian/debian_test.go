package debian

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindLooksBeyondPath(t *testing.T) {
	have := map[string]bool{"/usr/sbin/runc": true, "/home/me/bin/etcd": true, "/opt/cni/bin/ptp": true}
	f := Finder{Exists: func(p string) bool { return have[p] }, Path: []string{"/home/me/bin", "", "/usr/bin"}}
	for _, tc := range []struct {
		program Program
		want    string
	}{
		{Program{Name: "etcd"}, "/home/me/bin/etcd"},
		{Program{Name: "runc"}, "/usr/sbin/runc"},
		{Program{Name: "ptp", Dirs: []string{"/usr/lib/cni", "/opt/cni/bin"}}, "/opt/cni/bin/ptp"},
		{Program{Name: "ptp"}, ""},
		{Program{Name: "socat"}, ""},
	} {
		if got := f.Find(tc.program); got != tc.want {
			t.Errorf("Find(%+v) = %q, want %q", tc.program, got, tc.want)
		}
	}
}

func TestMissingPackagesAreNamedOnce(t *testing.T) {
	f := Finder{Exists: func(p string) bool { return p == "/usr/sbin/runc" }}
	got := Packages(f.Missing([]Program{
		{Name: "containerd", Package: "containerd"},
		{Name: "ctr", Package: "containerd"},
		{Name: "runc", Package: "runc"},
		{Name: "etcd", Package: "etcd-server"},
	}))
	if diff := cmp.Diff([]string{"containerd", "etcd-server"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestForbidServices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy-rc.d")
	gone := func() bool { _, err := os.Stat(path); return errors.Is(err, fs.ErrNotExist) }

	t.Run("laid down and taken away", func(t *testing.T) {
		undo, err := forbidServices(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o111 == 0 {
			t.Fatalf("not executable: %v, %v", info, err)
		}
		if err := undo(); err != nil || !gone() {
			t.Errorf("stayed: %v", err)
		}
	})
	t.Run("what a killed run left is taken away too", func(t *testing.T) {
		if _, err := forbidServices(path); err != nil {
			t.Fatal(err)
		}
		undo, err := forbidServices(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := undo(); err != nil || !gone() {
			t.Errorf("stayed: %v", err)
		}
	})
	t.Run("the machine's own is kept", func(t *testing.T) {
		const own = "#!/bin/sh\nexit 0\n"
		if err := os.WriteFile(path, []byte(own), 0o755); err != nil {
			t.Fatal(err)
		}
		undo, err := forbidServices(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != own {
			t.Errorf("now %q, %v", b, err)
		}
	})
}
