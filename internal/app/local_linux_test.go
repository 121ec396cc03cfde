package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// localApp returns the use cases on a machine whose kubeconfig has the context mine.
func localApp(t *testing.T) (*App, *progresstest.Recorder) {
	t.Helper()
	a, seen := runApp(t)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte("{apiVersion: v1, kind: Config, current-context: mine, contexts: [{name: mine, context: {cluster: c}}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Kubeconfig = cluster.Options{Kubeconfig: file, Env: a.Env}
	a.Local = local.Place{Dir: filepath.Join(t.TempDir(), "local")}
	a.RegistryOptions = func() (registry.Options, error) { return registry.Options{}, nil }
	return a, seen
}

func (a *App) contexts(t *testing.T) (current string, all []string) {
	t.Helper()
	all, err := cluster.ContextNames(a.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(a.Kubeconfig.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(line, "current-context: "); ok {
			current = strings.TrimSpace(name)
		}
	}
	return current, all
}

// While the platform serves, its context is the current one and its registry is known;
// afterwards the one before is.
func TestLocalUp(t *testing.T) {
	a, seen := localApp(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var reach registry.Options
	err := a.LocalUp(ctx, LocalUpRequest{Network: local.NetworkOpen, Ready: func(info *local.Info) error {
		if current, all := a.contexts(t); current != cluster.LocalContext || len(all) != 2 {
			t.Errorf("while it serves: %s of %q", current, all)
		}
		go func() {
			defer cancel()
			if _, err := a.Local.Settled(ctx); err != nil {
				t.Error(err)
			}
			if err := a.ReachLocal(&reach); err != nil {
				t.Error(err)
			}
		}()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if current, all := a.contexts(t); current != "mine" || !slices.Equal(all, []string{"mine"}) {
		t.Errorf("afterwards: %s of %q", current, all)
	}
	if len(reach.Auths) != 1 {
		t.Errorf("the registry's credentials: %d", len(reach.Auths))
	}
	if notes := seen.Texts(progresstest.Note); len(notes) != 1 || !strings.Contains(notes[0], "the platform has stopped") {
		t.Errorf("noted %q", notes)
	}
}

// The error of who is told that it serves ends it, and the context goes.
func TestLocalUpRefused(t *testing.T) {
	a, _ := localApp(t)
	err := a.LocalUp(t.Context(), LocalUpRequest{Network: local.NetworkOpen, Ready: func(*local.Info) error { return os.ErrClosed }})
	if err == nil || !strings.Contains(err.Error(), os.ErrClosed.Error()) {
		t.Errorf("%v", err)
	}
	if current, all := a.contexts(t); current != "mine" || len(all) != 1 {
		t.Errorf("afterwards: %s of %q", current, all)
	}
}

// What a killed platform has left in the kubeconfig goes with down, and with purge
// everything else.
func TestLocalDown(t *testing.T) {
	a, seen := localApp(t)
	if err := a.LocalDown(t.Context(), false); err != nil {
		t.Errorf("there never was one: %v", err)
	}
	if err := a.Local.Make(); err != nil {
		t.Fatal(err)
	}
	info := &local.Info{PID: 1 << 30, API: "https://127.0.0.1:1"}
	if err := a.addContext(info); err != nil || info.Previous != "mine" {
		t.Fatalf("%+v, %v", info, err)
	}
	raw, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.Local.Dir, "platform.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	next := &local.Info{}
	if err := a.addContext(next); err != nil || next.Previous != "mine" {
		t.Errorf("the next one comes before down: %+v, %v", next, err)
	}
	if err := a.LocalDown(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if current, all := a.contexts(t); current != "mine" || len(all) != 1 {
		t.Errorf("afterwards: %s of %q", current, all)
	}
	if _, err := os.Stat(a.Local.Dir); !os.IsNotExist(err) {
		t.Errorf("its folder: %v", err)
	}
	if steps := seen.Texts(progresstest.Step); !slices.Contains(steps, "removed everything in "+a.Local.Dir) {
		t.Errorf("%q", steps)
	}
}
