// Package local is the embedded platform: Knative's API, its controllers, its data
// plane and a registry in one process on loopback, with real processes for
// instances. It puts the parts below it together, which know the store of objects
// and not each other (docs/decisions/0035).
//
// Errors are *fault.Error.
package local

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry/server"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Place is the folder of a platform: there is one for each user.
//
//	DIR/lock           held by the process
//	DIR/start.lock     held by who starts it in the background
//	DIR/platform.json  what clients need, while it runs: see Info
//	DIR/credentials    token, key and certificate; they stay the same
//	DIR/state.db       objects
//	DIR/addresses.json where the registry was at each start
//	DIR/registry/      images
//	DIR/pods/          logs and volumes, gone with their pods
//	DIR/platform.log   what a platform in the background says
type Place struct{ Dir string }

// settleEvery is how often a platform that starts or stops is looked at.
const settleEvery = 10 * time.Millisecond

// Info is a running platform.
type Info struct {
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Version  string    `json:"version"`
	API      string    `json:"api"`     // URL of the API server
	Address  string    `json:"address"` // host:port of functions, registry and dashboard
	Token    string    `json:"token"`   // for all of them
	CA       []byte    `json:"ca"`      // PEM
	Isolated bool      `json:"isolated"`
	Network  string    `json:"network"`
	Former   []string  `json:"former,omitempty"`          // addresses of earlier runs, which images are named by
	Previous string    `json:"previousContext,omitempty"` // kubeconfig's, before this platform
}

// Registry is where images of the platform go: HOST:PORT.
func (i *Info) Registry() string { return i.Address }

// RegistryAuth is what a client needs for the platform's registry.
func (i *Info) RegistryAuth() []byte {
	return server.ClientConfig(i.Registry(), registryPassword(i.Token))
}

// registryPassword opens the registry and not the API: it goes over plain HTTP, to
// whoever listens at the platform's port.
func registryPassword(token string) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("kn-lite registry"))
	return hex.EncodeToString(mac.Sum(nil))
}

func (p Place) file(name string) string { return filepath.Join(p.Dir, name) }

// Log is the file of what a platform in the background says.
func (p Place) Log() string { return p.file("platform.log") }

// Make makes the folder, which is closed to others.
func (p Place) Make() error {
	if p.Dir == "" {
		return fault.Usagef("there is no place for the platform's state").WithHint("set HOME, or XDG_STATE_HOME, to an absolute path")
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return fault.New(fault.Failure, "local.open", p.Dir, "%w", err)
	}
	if err := os.Chmod(p.Dir, 0o700); err != nil {
		return fault.New(fault.Failure, "local.open", p.Dir, "%w", err).WithHint("it has to be yours")
	}
	return nil
}

// Running is the platform that runs from this folder; nil when none does.
func (p Place) Running() (*Info, error) {
	held, err := p.Held()
	if err != nil || !held {
		return nil, err
	}
	info, err := p.read()
	if info != nil && !Alive(info.PID) {
		return nil, nil // it was killed, and the next one starts
	}
	return info, err
}

// Settled waits while a platform starts or stops in this folder. It returns the one
// that runs then, or nil.
func (p Place) Settled(ctx context.Context) (*Info, error) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		held, err := p.Held()
		if err != nil || !held {
			return nil, err
		}
		if info, err := p.Running(); err != nil || info != nil {
			return info, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fault.New(fault.KindOf(ctx.Err()), "local.wait", p.Dir, "a platform starts or stops, and does not get anywhere: %w", ctx.Err())
		}
	}
}

// Held reports whether a platform, also one that starts or stops, has the folder.
func (p Place) Held() (bool, error) {
	if p.Dir == "" {
		return false, nil
	}
	return lockHeld(p.file("lock"))
}

// Killed is the last platform if it did not end by itself, or runs; nil otherwise.
func (p Place) Killed() (*Info, error) {
	if p.Dir == "" {
		return nil, nil
	}
	return p.read()
}

// Forget removes what a killed platform has told clients.
func (p Place) Forget() error { return p.withdraw() }

func (p Place) read() (*Info, error) {
	raw, err := regular.ReadFile(p.file("platform.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it starts, or stops
	}
	var info Info
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		return nil, fault.New(fault.Failure, "local.read", p.file("platform.json"), "%w", err)
	}
	return &info, nil
}

// publish tells clients where the platform is.
func (p Place) publish(info *Info) error {
	raw, err := json.Marshal(info)
	if err == nil {
		err = sealed.WriteFile(p.file("platform.json"), raw)
	}
	if err != nil {
		return fault.New(fault.Failure, "local.publish", p.Dir, "%w", err)
	}
	return nil
}

func (p Place) withdraw() error {
	err := os.Remove(p.file("platform.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
