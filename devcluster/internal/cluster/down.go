package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kn-lite/kn-lite/devcluster/internal/cgroup"
	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/preflight"
	"github.com/kn-lite/kn-lite/devcluster/internal/process"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// Down takes the named cluster away and checks that nothing of it stays. It reports
// whether there was anything. With force a record that cannot be read is made up
// from what the machine shows.
func Down(ctx context.Context, host Host, name string, force bool) (was bool, err error) {
	if err := instance.CheckName(name); err != nil {
		return false, err
	}
	home, err := host.home()
	if err != nil {
		return false, err
	}
	release, err := state.Lock(home, name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, release()) }()
	folder := filepath.Join(home, name)
	r, err := state.Load(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err != nil && force:
		r, err = guess(name, folder)
		if err != nil || r == nil {
			return false, err
		}
	case err != nil:
		return false, err
	}
	if r.Instance.Folder != folder {
		return false, &fault.Error{
			Op: "take down", Subject: name, Err: fmt.Errorf("its record in %s is about %s", folder, r.Instance.Folder),
			Hint: "the folder was copied or moved; take it down under its first XDG_STATE_HOME",
		}
	}
	if err := current(r); err != nil {
		return true, err
	}
	ctx, cancel := context.WithTimeout(ctx, downTime)
	defer cancel()
	return true, takeDown(ctx, r)
}

// guess makes a record of an instance that has lost its own: nil when there is no
// trace of it.
func guess(name, folder string) (*state.Record, error) {
	boot, err := process.BootID()
	if err != nil {
		return nil, err
	}
	r := &state.Record{BootID: boot, Instance: instance.Instance{Name: name, Folder: folder}}
	facts, err := preflight.Look()
	if err != nil {
		return nil, err
	}
	for _, h := range facts.Cgroups {
		dir := filepath.Join(h.Mount, r.Instance.Cgroup())
		if _, err := os.Stat(dir); err == nil {
			r.Cgroups = append(r.Cgroups, dir)
		}
	}
	_, err = os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) && len(r.Cgroups) == 0 && len(machine.Find(folder)) == 0 {
		return nil, nil
	}
	return r, nil
}

// takeDown removes everything in the record, and the record last.
func takeDown(ctx context.Context, r *state.Record) error {
	if r.Machine != nil {
		if err := r.Machine.Halt(ctx); err != nil {
			return stays(r, err)
		}
	}
	// Whoever still sees the folder or sits in the cgroup belongs to the instance,
	// recorded or not.
	for _, pid := range append(machine.Find(r.Instance.Folder), cgroup.Processes(r.Cgroups)...) {
		id, err := process.Identify(pid)
		if err != nil {
			continue
		}
		if err := errors.Join(id.Signal(syscall.SIGKILL), id.WaitGone(ctx)); err != nil {
			return stays(r, err)
		}
	}
	if err := cgroup.Remove(ctx, r.Cgroups); err != nil {
		return stays(r, err)
	}
	for _, dir := range r.Cgroups {
		// The parent goes with its last instance; until then the kernel refuses.
		_ = syscall.Rmdir(filepath.Dir(dir))
	}
	if err := os.RemoveAll(r.Instance.Folder); err != nil {
		return stays(r, err)
	}
	if left := Leftovers(r); len(left) > 0 {
		return stays(r, errors.New("still there: "+strings.Join(left, ", ")))
	}
	return nil
}

func stays(r *state.Record, err error) error {
	hint := "run `devcluster down --name " + r.Instance.Name + "` again"
	if left := Leftovers(r); len(left) > 0 {
		hint += "; what stays:\n" + strings.Join(left, "\n")
	}
	return &fault.Error{Op: "take down", Subject: r.Instance.Name, Err: err, Hint: hint}
}

// Leftovers lists what is still there of a recorded instance: processes, cgroups,
// mounts and its folder. Devices, routes and firewall rules need no look: they were
// in the machine's network namespace, which ends with its last process.
func Leftovers(r *state.Record) []string {
	var left []string
	pids := append(machine.Find(r.Instance.Folder), cgroup.Processes(r.Cgroups)...)
	if r.Machine != nil {
		pids = append(pids, r.Machine.Processes()...)
	}
	for _, c := range r.Components {
		if c.ID.Alive() {
			pids = append(pids, c.ID.PID)
		}
	}
	slices.Sort(pids)
	for _, pid := range slices.Compact(pids) {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	for _, dir := range r.Cgroups {
		if _, err := os.Stat(dir); err == nil {
			left = append(left, "cgroup "+dir)
		}
	}
	if b, err := os.ReadFile("/proc/thread-self/mountinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], r.Instance.Folder+"/") {
				left = append(left, "mount "+f[4])
			}
		}
	}
	if _, err := os.Stat(r.Instance.Folder); err == nil {
		left = append(left, "folder "+r.Instance.Folder)
	}
	return left
}
