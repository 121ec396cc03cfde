package cgroup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHierarchies(t *testing.T) {
	const text = `22 1 0:20 / /sys rw,nosuid - sysfs sysfs rw
30 25 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
33 25 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
short line
`
	got, err := Hierarchies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Hierarchy{
		{Mount: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}},
		{Mount: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}},
		{Mount: "/sys/fs/cgroup/systemd", Controllers: []string{"name=systemd"}},
		{Mount: "/sys/fs/cgroup/unified", V2: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !V1(got) {
		t.Error("memory in a v1 hierarchy was not seen")
	}
	if V1([]Hierarchy{{Mount: "/sys/fs/cgroup", V2: true}}) {
		t.Error("a unified hierarchy counts as v1")
	}
}

func TestMissingNamesWhatNoHierarchyCarries(t *testing.T) {
	unified := t.TempDir()
	if err := os.WriteFile(filepath.Join(unified, "cgroup.controllers"), []byte("cpu pids\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Missing([]Hierarchy{{Mount: unified, V2: true}, {Controllers: []string{"memory"}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cpuset"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMakeInheritsTheParentsCpuset(t *testing.T) {
	mount := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A kernel would make the files; an ordinary folder has to be given them.
	for dir, text := range map[string]string{"": "0-1\n", "a": "\n", "a/b": "\n"} {
		write(filepath.Join(mount, dir, "cpuset.cpus"), text)
		write(filepath.Join(mount, dir, "cpuset.mems"), text)
	}
	dirs, err := Make([]Hierarchy{{Mount: mount, Controllers: []string{"cpuset"}}}, "/a/b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(mount, "a/b")}, dirs); diff != "" {
		t.Error(diff)
	}
	got, err := os.ReadFile(filepath.Join(mount, "a/b/cpuset.cpus"))
	if err != nil || string(got) != "0-1\n" {
		t.Errorf("cpuset.cpus = %q, %v", got, err)
	}
}

func TestRemoveTakesTheWholeTreeAndReportsWhatStays(t *testing.T) {
	root := filepath.Join(t.TempDir(), "x")
	if err := os.MkdirAll(filepath.Join(root, "pods", "burstable"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.Context(), []string{root, filepath.Join(root, "never-was")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("%s stayed: %v", root, err)
	}

	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "held"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Remove(ctx, []string{root}); err == nil || !strings.Contains(err.Error(), root) {
		t.Errorf("error = %v, want one that names %s", err, root)
	}
}
