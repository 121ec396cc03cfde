package state

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/process"
)

func TestRoundTrip(t *testing.T) {
	folder := t.TempDir()
	want := &Record{
		Instance: instance.Instance{Name: "dev", Folder: folder, Address: netip.MustParseAddr("127.0.77.1"), Ports: instance.DefaultPorts()},
		BootID:   "b",
		Machine:  &machine.Machine{Init: process.ID{PID: 7, Start: 1 << 60}, PIDNamespace: 4026531836},
		Cgroups:  []string{"/sys/fs/cgroup/memory/kn-lite-devcluster/dev"},
		Packages: []string{"runc"},
		Ready:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	want.Started(Component{Name: "etcd", ID: process.ID{PID: 8, Start: 9}, Since: want.Ready})
	want.Started(Component{Name: "etcd", ID: process.ID{PID: 10, Start: 11}, Since: want.Ready})
	if err := want.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if c, ok := got.Component("etcd"); !ok || c.ID.PID != 10 || len(got.Components) != 1 {
		t.Errorf("a component started twice is recorded as %+v", got.Components)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("saving left %v", entries)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, text := range map[string]string{"broken": "{", "other format": `{"version": 99}`} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(folder); err == nil || !strings.Contains(err.Error(), folder) {
				t.Errorf("error = %v, want one that names the file", err)
			}
		})
	}
	if _, err := Load(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v, want fs.ErrNotExist", err)
	}
}

func TestHome(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	for _, tc := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/kn-lite-devcluster"},
		{map[string]string{"HOME": "/h"}, "/h/.local/state/kn-lite-devcluster"},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/kn-lite-devcluster"},
	} {
		if got, err := Home(env(tc.env)); err != nil || got != tc.want {
			t.Errorf("Home(%v) = %q, %v, want %q", tc.env, got, err, tc.want)
		}
	}
	if _, err := Home(env(nil)); err == nil {
		t.Error("no HOME: no error")
	}
}

func TestLockIsExclusiveAndGoesWithTheInstance(t *testing.T) {
	home := t.TempDir()
	release, err := Lock(home, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(home, "dev"); err == nil {
		t.Error("the same lock was taken twice")
	}
	other, err := Lock(home, "other")
	if err != nil {
		t.Errorf("another instance's lock: %v", err)
	} else if err := other(); err != nil {
		t.Error(err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(home, "dev.lock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lock file of an instance that does not exist: %v", err)
	}
	again, err := Lock(home, "dev")
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	_ = again()
}

func TestNames(t *testing.T) {
	home := t.TempDir()
	for _, n := range []string{"b", "a", "no-record"} {
		if err := os.MkdirAll(filepath.Join(home, n), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"a", "b"} {
		r := &Record{Instance: instance.Instance{Folder: filepath.Join(home, n)}}
		if err := r.Save(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Names(home)
	if diff := cmp.Diff([]string{"a", "b"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
