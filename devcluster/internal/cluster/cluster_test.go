package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/process"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

func host(t *testing.T) (Host, string) {
	t.Helper()
	dir := t.TempDir()
	return Host{Env: func(k string) string {
		if k == "XDG_STATE_HOME" {
			return dir
		}
		return ""
	}, Log: &bytes.Buffer{}, Now: time.Now}, filepath.Join(dir, "kn-lite-devcluster")
}

// record saves an instance that claims the given processes.
func record(t *testing.T, home, name string, pids ...int) *state.Record {
	t.Helper()
	folder := filepath.Join(home, name)
	if err := os.MkdirAll(filepath.Join(folder, "etcd"), 0o755); err != nil {
		t.Fatal(err)
	}
	boot, err := process.BootID()
	if err != nil {
		t.Fatal(err)
	}
	r := &state.Record{BootID: boot, Instance: instance.Instance{Name: name, Folder: folder, Address: netip.MustParseAddr("127.0.77.1")}}
	for _, pid := range pids {
		id, err := process.Identify(pid)
		if err != nil {
			t.Fatal(err)
		}
		r.Started(state.Component{Name: "etcd", ID: id})
	}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	return r
}

// unused is the name of no instance of this machine: what belongs to an instance is
// found by its name, outside of its folder too.
func unused() string { return fmt.Sprintf("test-%d", os.Getpid()) }

func TestDownRemovesTheFolderAndIsIdempotent(t *testing.T) {
	h, home := host(t)
	r := record(t, home, unused())
	for _, want := range []bool{true, false} {
		was, err := Down(t.Context(), h, unused(), false)
		if err != nil || was != want {
			t.Errorf("Down = %t, %v; want %t", was, err, want)
		}
	}
	if left := Leftovers(r); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if entries, _ := os.ReadDir(home); len(entries) != 0 {
		t.Errorf("%s still holds %v", home, entries)
	}
}

func TestDownNamesWhatStays(t *testing.T) {
	h, home := host(t)
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	// A component outside any machine: nothing that `down` ends reaches it.
	record(t, home, unused(), cmd.Process.Pid)
	_, err := Down(t.Context(), h, unused(), false)
	if err == nil || !strings.Contains(err.Error(), "process ") {
		t.Errorf("error = %v, want one that names the process", err)
	}
}

func TestDownLeavesARecycledPIDAlone(t *testing.T) {
	h, home := host(t)
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r := record(t, home, unused(), cmd.Process.Pid)
	stranger := r.Components[0].ID
	stranger.Start--
	r.Components[0].ID = stranger
	r.Machine = &machine.Machine{Init: stranger}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := Down(t.Context(), h, unused(), false); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process that only shares the recorded pid was ended: %v", err)
	}
}

func TestDownForgetsWhatAnEarlierBootOfTheKernelHad(t *testing.T) {
	h, home := host(t)
	r := record(t, home, unused(), os.Getpid())
	r.BootID = "another"
	r.Machine = &machine.Machine{Init: r.Components[0].ID}
	if err := r.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := Down(t.Context(), h, unused(), false); err != nil {
		t.Fatal(err) // and this test still runs
	}
}

func TestDownOfABrokenRecordNeedsForce(t *testing.T) {
	h, home := host(t)
	record(t, home, unused())
	if err := os.WriteFile(filepath.Join(home, unused(), "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Down(t.Context(), h, unused(), false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("error = %v, want one that names --force", err)
	}
	if was, err := Down(t.Context(), h, unused(), true); err != nil || !was {
		t.Errorf("with force: %t, %v", was, err)
	}
}

func TestDownRefusesACopiedFolder(t *testing.T) {
	h, home := host(t)
	record(t, home, unused())
	if err := os.Rename(filepath.Join(home, unused()), filepath.Join(home, "copy")); err != nil {
		t.Fatal(err)
	}
	if _, err := Down(t.Context(), h, "copy", false); err == nil || !strings.Contains(err.Error(), "/"+unused()) {
		t.Errorf("error = %v, want one that names the folder in the record", err)
	}
}

func TestLoadNamesTheClustersThereAre(t *testing.T) {
	h, home := host(t)
	record(t, home, unused())
	if _, err := h.Load(unused() + "x"); err == nil || !strings.Contains(err.Error(), `[`+strconv.Quote(unused())+`]`) {
		t.Errorf("error = %v, want one that lists it", err)
	}
}

func TestStatusOfAKilledCluster(t *testing.T) {
	_, home := host(t)
	r := record(t, home, unused(), os.Getpid())
	r.Components[0].ID.Start++
	s, err := Look(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if s.Healthy || s.Components[0].Name != "machine" || s.Components[0].Reason != "not running" {
		t.Errorf("%+v", s)
	}
	for _, c := range s.Components {
		want := map[string]string{"machine": "not running", "etcd": "ended"}[c.Name]
		if want == "" {
			want = "not started"
		}
		if c.Healthy || c.Reason != want {
			t.Errorf("%s: healthy %t, %q; want %q", c.Name, c.Healthy, c.Reason, want)
		}
	}
}

func TestUntilGivesTheLastAnswerOrTheCause(t *testing.T) {
	answer := errors.New("not yet")
	never := func(context.Context) error { return answer }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := until(ctx, time.Millisecond, never); !errors.Is(err, answer) {
		t.Errorf("at the deadline: %v, want what was waited for", err)
	}
	died := errors.New("etcd ended")
	caused, fail := context.WithCancelCause(t.Context())
	fail(died)
	if err := until(caused, time.Millisecond, never); !errors.Is(err, died) {
		t.Errorf("after a component died: %v, want the cause", err)
	}
	n := 0
	if err := until(t.Context(), time.Millisecond, func(context.Context) error {
		if n++; n < 3 {
			return answer
		}
		return nil
	}); err != nil || n != 3 {
		t.Errorf("after %d questions: %v", n, err)
	}
}

func TestLastLines(t *testing.T) {
	_, home := host(t)
	r := record(t, home, unused())
	if got := lastLines(r, "etcd", 2); got != "" {
		t.Errorf("without a log: %q", got)
	}
	path := LogFile(r, "etcd")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 20<<10)+"\none\ntwo\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lastLines(r, "etcd", 2); got != "\n    one\n    two" {
		t.Errorf("%q", got)
	}
}
