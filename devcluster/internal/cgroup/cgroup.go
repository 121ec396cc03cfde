// Package cgroup makes and removes the one cgroup subtree that everything a
// kubelet runs lives in, on cgroup v1 (one directory per hierarchy) and v2.
package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Hierarchy is one mounted cgroup tree.
type Hierarchy struct {
	// Mount is where it is mounted, such as /sys/fs/cgroup/memory.
	Mount string
	// Controllers it carries; "name=systemd" for a named one, none for v2.
	Controllers []string
	// V2 marks the unified hierarchy.
	V2 bool
}

// Hierarchies lists the cgroup trees in the text of /proc/self/mountinfo.
func Hierarchies(mountinfo io.Reader) ([]Hierarchy, error) {
	var out []Hierarchy
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		switch r[0] {
		case "cgroup2":
			out = append(out, Hierarchy{Mount: l[4], V2: true})
		case "cgroup":
			var controllers []string
			for _, o := range strings.Split(r[2], ",") {
				if o != "rw" && o != "ro" && !strings.HasPrefix(o, "xattr") && !strings.HasPrefix(o, "release_agent") {
					controllers = append(controllers, o)
				}
			}
			out = append(out, Hierarchy{Mount: l[4], Controllers: controllers})
		}
	}
	return out, lines.Err()
}

// Missing names the controllers a kubelet cannot do without that no hierarchy carries.
func Missing(hs []Hierarchy) ([]string, error) {
	have := map[string]bool{}
	for _, h := range hs {
		for _, c := range h.Controllers {
			have[c] = true
		}
		if h.V2 {
			b, err := os.ReadFile(filepath.Join(h.Mount, "cgroup.controllers"))
			if err != nil {
				return nil, err
			}
			for _, c := range strings.Fields(string(b)) {
				have[c] = true
			}
		}
	}
	var missing []string
	for _, c := range []string{"cpu", "cpuset", "memory", "pids"} {
		if !have[c] {
			missing = append(missing, c)
		}
	}
	return missing, nil
}

// V1 reports whether controllers sit in v1 hierarchies, which a kubelet of 1.35
// only accepts when told so.
func V1(hs []Hierarchy) bool {
	return slices.ContainsFunc(hs, func(h Hierarchy) bool { return slices.Contains(h.Controllers, "memory") })
}

// Make creates path ("/kn-lite-devcluster/dev") in every hierarchy and returns
// the directories. What exists already is kept.
func Make(hs []Hierarchy, path string) ([]string, error) {
	var dirs []string
	for _, h := range hs {
		dir := filepath.Join(h.Mount, path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return dirs, err
		}
		dirs = append(dirs, dir)
		if slices.Contains(h.Controllers, "cpuset") {
			if err := inheritCpuset(h.Mount, path); err != nil {
				return dirs, err
			}
		}
		if h.V2 {
			delegate(h.Mount, path)
		}
	}
	return dirs, nil
}

// inheritCpuset copies the parent's processors and memory nodes down the path: a
// v1 cpuset starts empty, and no process can enter an empty one.
func inheritCpuset(mount, path string) error {
	dir := mount
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		parent := dir
		dir = filepath.Join(dir, part)
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			have, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				return err
			}
			if strings.TrimSpace(string(have)) != "" {
				continue
			}
			value, err := os.ReadFile(filepath.Join(parent, file))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegate switches on, from the root down, every controller there is. A
// controller that refuses (busy in a v1 hierarchy) is left off: Missing has
// already said whether one that matters is absent.
func delegate(mount, path string) {
	dir := mount
	for _, part := range append([]string{""}, strings.Split(strings.Trim(path, "/"), "/")...) {
		dir = filepath.Join(dir, part)
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		if err != nil {
			return
		}
		for _, c := range strings.Fields(string(b)) {
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0o644)
		}
	}
}

// Remove deletes the subtree under each dir, deepest first, retrying while dying
// processes still hold one, until ctx ends. It returns what it could not remove.
func Remove(ctx context.Context, dirs []string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := removeOnce(dirs)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func removeOnce(dirs []string) error {
	var errs []error
	for _, root := range dirs {
		var found []string
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && d.IsDir() {
				found = append(found, path)
			}
			return err
		})
		errs = append(errs, err)
		for _, dir := range slices.Backward(found) {
			if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, syscall.ENOENT) {
				errs = append(errs, fmt.Errorf("rmdir %s: %w", dir, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Processes lists the pids in the subtree under each dir.
func Processes(dirs []string) []int {
	seen := map[int]bool{}
	for _, root := range dirs {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			for _, f := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
					seen[pid] = true
				}
			}
			return nil
		})
	}
	pids := make([]int, 0, len(seen))
	for pid := range seen {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}
