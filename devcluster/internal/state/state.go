// Package state is an instance's record on disk: what was made, so that it can be
// found again and taken away, whatever happened in between.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/process"
)

// Version of the record's format; another one is refused, not guessed at.
const Version = 1

// Record is everything an instance has made on the machine.
type Record struct {
	Version  int               `json:"version"`
	Instance instance.Instance `json:"instance"`
	// BootID of the kernel the pids belong to.
	BootID  string           `json:"bootID"`
	Machine *machine.Machine `json:"machine,omitempty"`
	// Components in the order in which they were started.
	Components []Component `json:"components,omitempty"`
	// Cgroups are directories made on the host.
	Cgroups []string `json:"cgroups,omitempty"`
	// Packages that were installed for the instance. They stay.
	Packages []string `json:"packages,omitempty"`
	// Node is the multi-call binary that the components were started from.
	Node string `json:"node,omitempty"`
	// FastAutoscaler remembers the option the instance was made with.
	FastAutoscaler bool `json:"fastAutoscaler"`
	// Ready is when a Knative service could first be created; zero before.
	Ready time.Time `json:"ready,omitzero"`
}

// Component is one started process.
type Component struct {
	Name string     `json:"name"`
	ID   process.ID `json:"process"`
	// Since is when it was started.
	Since time.Time `json:"since"`
}

// Component returns the record of a component by name.
func (r *Record) Component(name string) (Component, bool) {
	i := slices.IndexFunc(r.Components, func(c Component) bool { return c.Name == name })
	if i < 0 {
		return Component{}, false
	}
	return r.Components[i], true
}

// Started adds a component, or replaces the one of the same name.
func (r *Record) Started(c Component) {
	if i := slices.IndexFunc(r.Components, func(o Component) bool { return o.Name == c.Name }); i >= 0 {
		r.Components[i] = c
		return
	}
	r.Components = append(r.Components, c)
}

// Forget drops everything that cannot have outlived a reboot of the kernel.
func (r *Record) Forget() {
	r.Machine, r.Components, r.Cgroups, r.BootID = nil, nil, nil, ""
}

// Home is the folder that holds all instances: $XDG_STATE_HOME/kn-lite-devcluster,
// where XDG_STATE_HOME is ~/.local/state unless set (XDG Base Directory 0.8).
func Home(env func(string) string) (string, error) {
	base := env("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home := env("HOME")
		if home == "" {
			return "", &fault.Error{Op: "find the state folder", Err: errors.New("neither XDG_STATE_HOME nor HOME is set"), Hint: "set HOME"}
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "kn-lite-devcluster"), nil
}

// Names lists the instances that have a record below home.
func Names(home string) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(home, "*", file))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range found {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names, nil
}

const file = "state.json"

// Load reads the record in an instance's folder; fs.ErrNotExist where there is none.
func Load(folder string) (*Record, error) {
	path := filepath.Join(folder, file)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, &fault.Error{
			Op: "read the instance's record", Subject: path, Err: err,
			Hint: "`devcluster down --force` takes away what can be found without it",
		}
	}
	if r.Version != Version {
		return nil, &fault.Error{
			Op: "read the instance's record", Subject: path,
			Err:  fmt.Errorf("it has format %d, this devcluster knows %d", r.Version, Version),
			Hint: "take the instance down with the devcluster that made it",
		}
	}
	return &r, nil
}

// Save writes the record so that a reader, or a crash, sees the old one or the new
// one whole.
func (r *Record) Save() error {
	r.Version = Version
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	folder := r.Instance.Folder
	f, err := os.CreateTemp(folder, file+".")
	if err != nil {
		return err
	}
	_, werr := f.Write(append(b, '\n'))
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), filepath.Join(folder, file))
}

// Lock takes the lock of an instance, so that `up` and `down` of the same name
// cannot overlap. The lock ends with the process that holds it.
func Lock(home, name string) (release func() error, err error) {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(home, name+".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &fault.Error{
				Op: "lock", Subject: name, Err: errors.New("another devcluster command is changing this instance"),
				Hint: "wait for it to end, or use another --name",
			}
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() error {
		// The file goes with the instance; a name that is used again makes a new one.
		if _, err := os.Stat(filepath.Join(home, name)); errors.Is(err, fs.ErrNotExist) {
			if err := os.Remove(path); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		return f.Close()
	}, nil
}
