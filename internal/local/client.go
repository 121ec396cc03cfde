package local

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/dashboard"
	"github.com/kn-lite/kn-lite/internal/local/view"
)

// stateWithin bounds how long the platform may take to tell its state.
const stateWithin = 5 * time.Second

// Dashboard is the address that opens the dashboard in a browser, with the key to it.
func (i *Info) Dashboard() string { return dashboard.URL(i.Address, i.Token) }

// State asks the platform for its state.
func (i *Info) State(ctx context.Context) (*view.State, error) {
	ctx, cancel := context.WithTimeout(ctx, stateWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Address+"/state", nil)
	if err != nil {
		return nil, fault.New(fault.Failure, "local.state", i.Address, "%w", err)
	}
	r.Header.Set("Authorization", "Bearer "+i.Token)
	// No proxy is asked for what is on this machine, whatever the variables say.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		kind := fault.Failure
		if errors.Is(err, syscall.ECONNREFUSED) {
			kind = fault.Transient // it is about to end
		}
		return nil, fault.New(kind, "local.state", i.Address, "%w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Failure, "local.state", i.Address, "the platform answers %s", answer.Status).
			WithHint("is it of another version of kn-lite? start it anew with `kn-lite local down` and `kn-lite local up -d`")
	}
	var state view.State
	if err := json.NewDecoder(answer.Body).Decode(&state); err != nil {
		return nil, fault.New(fault.Failure, "local.state", i.Address, "%w", err)
	}
	return &state, nil
}
