// Package cluster brings a devcluster up, looks at it and takes it down.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/process"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// Host is what a cluster uses of the process it is driven from.
type Host struct {
	// Env reads an environment variable.
	Env func(string) string
	// Log takes progress for a person, line by line.
	Log io.Writer
	// Now is the clock.
	Now func() time.Time
}

// Options of Up.
type Options struct {
	Name string
	// Address is a loopback address, or the zero value to have one chosen.
	Address netip.Addr
	Ports   instance.Ports
	// FastAutoscaler shortens Knative's windows so that a service goes to zero in
	// seconds.
	FastAutoscaler bool
	// KeepOnFailure leaves what runs when Up fails, to be looked at.
	KeepOnFailure bool
}

// KubeconfigFile is the name of the admin's kubeconfig in an instance's folder.
const KubeconfigFile = "kubeconfig"

// home returns the folder of all instances.
func (h Host) home() (string, error) { return state.Home(h.Env) }

// Cache is where compiled parts are kept between clusters:
// $XDG_CACHE_HOME/kn-lite-devcluster, where XDG_CACHE_HOME is ~/.cache unless set.
func (h Host) Cache() (string, error) {
	base := h.Env("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) {
		home := h.Env("HOME")
		if home == "" {
			return "", &fault.Error{Op: "find the cache folder", Err: errors.New("neither XDG_CACHE_HOME nor HOME is set"), Hint: "set HOME"}
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "kn-lite-devcluster"), nil
}

// Load returns the record of a named instance, or a fault that says which there are.
func (h Host) Load(name string) (*state.Record, error) {
	if err := instance.CheckName(name); err != nil {
		return nil, err
	}
	home, err := h.home()
	if err != nil {
		return nil, err
	}
	r, err := state.Load(filepath.Join(home, name))
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	hint := "start it with `devcluster up --name " + name + "`"
	if names, err := state.Names(home); err == nil && len(names) > 0 {
		hint += fmt.Sprintf("; there is %q", names)
	}
	return nil, &fault.Error{Op: "find the cluster", Subject: name, Err: errors.New("there is none of this name"), Hint: hint}
}

// current drops from a record what a reboot of the kernel has ended.
func current(r *state.Record) error {
	boot, err := process.BootID()
	if err != nil {
		return err
	}
	if r.BootID != boot {
		r.Forget()
		r.BootID = boot
	}
	return nil
}

// progress writes progress with the seconds since it began.
type progress struct {
	w     io.Writer
	now   func() time.Time
	begun time.Time
}

func (t progress) say(format string, args ...any) {
	_, _ = fmt.Fprintf(t.w, "%6.1fs  %s\n", t.now().Sub(t.begun).Seconds(), fmt.Sprintf(format, args...))
}

// phase says that something begins to be done and, when the returned function is
// called, how long it took.
func (t progress) phase(name string) func() {
	from := t.now()
	return func() { t.say("%-34s %5.1fs", name, t.now().Sub(from).Seconds()) }
}

// until calls ask again and again, pause apart, until it returns nil or ctx ends;
// then it returns the last error with the context's cause.
func until(ctx context.Context, pause time.Duration, ask func(context.Context) error) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return cause
			}
			return err
		case <-tick.C:
		}
	}
}
