package app

import (
	"context"
	"errors"
	"io"
	"math"
	"net/url"
	"sync"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/rollout"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// probeTag is the tag that a candidate without one has during a rollout, so that a URL
// leads to it alone.
const probeTag = "rollout"

// probes sends requests to the candidate, and to the stable revision where a URL leads
// to it alone.
func (s *signals) probes(_ context.Context, state *rollout.State) (rollout.Source, string, error) {
	path, err := url.Parse(s.request.ProbePath)
	if err != nil || path.Host != "" || path.Path != "" && path.Path[0] != '/' {
		return nil, "", fault.New(fault.Usage, "rollout.signal", "", "%q is no path for requests", s.request.ProbePath).WithHint("e.g. /healthz?deep=1")
	}
	tag := ""
	if !tagged(state.Before, state.Candidate) {
		if tag = probeTag; state.Before.Tagged(tag) >= 0 {
			return nil, "", fault.New(fault.Conflict, "rollout.signal", "tag "+tag, "it leads elsewhere, and a rollout by its own requests needs it").
				WithHint("give %s a tag of its own, or remove this one: `kn-lite traffic untag -s %s %s`", state.Candidate, s.request.Service, tag)
		}
	}
	p := &prober{signals: s, path: path, at: make(map[string]*url.URL)}
	plan := state.Plan
	readings := max(1, float64(plan.Interval)/float64(plan.Poll()))
	each := int(math.Ceil(float64(plan.Limits.MinRequests)/readings)) + 1
	return &rollout.Prober{
		Revisions: []string{state.Candidate, state.Stable}, Each: min(each, probesPerReading), Ask: p.ask, Now: s.Now,
	}, tag, nil
}

// tagged reports whether a tag leads to a revision by its name.
func tagged(split traffic.Split, revision string) bool {
	for _, t := range split {
		if t.Tag != "" && t.Revision == revision && !t.Latest {
			return true
		}
	}
	return false
}

// prober sends requests to revisions by the URLs of their tags.
type prober struct {
	*signals
	path *url.URL

	mu sync.Mutex
	at map[string]*url.URL // by revision
}

// ask sends one request to a revision; see rollout.Prober.
func (p *prober) ask(ctx context.Context, revision string) (int, error) {
	target, err := p.url(ctx, revision)
	if err != nil {
		return 0, errors.Join(rollout.ErrNotAsked, err)
	}
	dialer, err := p.dialer(p.client, p.request.Service, p.request.Ingress)
	if err != nil {
		return 0, errors.Join(rollout.ErrNotAsked, err)
	}
	dialer.Private = ingress.IsPrivate(target)
	within, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	response, err := p.exchange(within, InvokeRequest{Path: p.path}, target, dialer)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, err
}

// url returns the URL that leads to a revision alone, once its ingress knows it.
func (p *prober) url(ctx context.Context, revision string) (*url.URL, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.at[revision]; at != nil {
		return at, nil
	}
	snap, err := p.client.Traffic().Snapshot(ctx, p.request.Service)
	if err != nil {
		return nil, err
	}
	raw, err := taggedURL(snap, revision)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	wait := ingressWait{service: p.request.Service, address: p.request.Ingress, hosts: []string{raw}, moved: true}
	if err := p.awaitIngress(ctx, p.client, wait); err != nil {
		return nil, err
	}
	p.at[revision] = at
	return at, nil
}

// taggedURL is revisionURL by a tag alone: who has all of the traffic now may not have
// it at the next step.
func taggedURL(snap *traffic.Snapshot, revision string) (string, error) {
	for _, t := range snap.Observed {
		if t.Pin(snap.LatestReady) == revision && t.Tag != "" && t.URL != "" {
			return t.URL, nil
		}
	}
	return "", fault.New(fault.NotFound, "rollout.signal", "revision/"+revision, "no tag leads to it")
}
