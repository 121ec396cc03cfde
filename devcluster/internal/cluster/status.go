package cluster

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/node"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// Status is what `status` shows.
type Status struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	// Healthy: every component runs and works.
	Healthy bool `json:"healthy"`
	// Ready is when a Knative service could first be created.
	Ready      time.Time         `json:"ready,omitzero"`
	Kubeconfig string            `json:"kubeconfig"`
	Registry   string            `json:"registry"`
	Ingress    string            `json:"ingress"`
	API        string            `json:"api"`
	Domain     string            `json:"domain"`
	Components []ComponentStatus `json:"components"`
}

// ComponentStatus is one line of it.
type ComponentStatus struct {
	Name    string    `json:"name"`
	PID     int       `json:"pid,omitempty"`
	Running bool      `json:"running"`
	Healthy bool      `json:"healthy"`
	Since   time.Time `json:"since,omitzero"`
	// Reason says why it is not healthy.
	Reason string `json:"reason,omitempty"`
}

// Look asks every component of a recorded instance how it is.
func Look(ctx context.Context, r *state.Record) (Status, error) {
	if err := current(r); err != nil {
		return Status{}, err
	}
	i := r.Instance
	s := Status{
		APIVersion: "kn-lite.dev/v1", Kind: "DevclusterStatus", Name: i.Name, Ready: r.Ready, Healthy: !r.Ready.IsZero(),
		Kubeconfig: i.Path(KubeconfigFile), Registry: i.Registry(), Ingress: i.Ingress(), API: i.API(), Domain: i.Domain(),
	}
	probes := map[string]node.Probe{}
	for name, c := range (node.Spec{Instance: i}).Components() {
		probes[name] = c.Probe
	}
	m := machine.Machine{}
	if r.Machine != nil {
		m = *r.Machine
	}
	ask := newProber(m)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	machineLine := ComponentStatus{Name: "machine", PID: m.Init.PID, Running: m.Alive(), Healthy: m.Alive()}
	if !machineLine.Running {
		machineLine.Reason = "not running"
	}
	s.Components = append(s.Components, machineLine)
	for _, name := range node.Names() {
		line := ComponentStatus{Name: name, Reason: "not started"}
		if c, ok := r.Component(name); ok {
			line.PID, line.Since, line.Running = c.ID.PID, c.Since, c.ID.Alive()
			line.Reason = ""
			if !line.Running {
				line.Reason = "ended"
			}
		}
		s.Components = append(s.Components, line)
	}
	var all sync.WaitGroup
	for n := range s.Components {
		line := &s.Components[n]
		if !line.Running || line.Name == "machine" {
			continue
		}
		all.Go(func() {
			var err error
			if line.Name == node.Relay {
				err = askDoor(ctx, i.Registry())
			} else {
				err = ask.ask(ctx, probes[line.Name])
			}
			if err != nil {
				line.Reason = err.Error()
				return
			}
			line.Healthy = true
		})
	}
	all.Wait()
	for _, line := range s.Components {
		s.Healthy = s.Healthy && line.Healthy
	}
	return s, nil
}

// askDoor asks the registry through the relay, as a client on the host does: the one
// component that has to be tried from outside.
func askDoor(ctx context.Context, registry string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+registry+"/v2/", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
