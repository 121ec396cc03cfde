package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/rollout"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Signal names what the figures of a rollout are read from.
type Signal string

// The signals, in the order in which they are tried.
const (
	SignalAuto     Signal = "auto"     // the first that has figures
	SignalPlatform Signal = "platform" // the embedded platform's metrics
	SignalProbes   Signal = "probes"   // requests of our own
)

// Signals returns what a Signal may be.
func Signals() []Signal { return []Signal{SignalAuto, SignalPlatform, SignalProbes} }

const (
	// scrapeWithin bounds one reading of metrics.
	scrapeWithin = 10 * time.Second
	// probeWithin bounds one request of our own.
	probeWithin = 10 * time.Second
	// probesPerReading bounds how many are sent at a time.
	probesPerReading = 50
)

// signals finds what the figures of a rollout are read from.
type signals struct {
	*App
	client  *cluster.Client
	request RolloutRequest
}

// candidateSource is a source that may have figures.
type candidateSource struct {
	signal Signal
	open   func(ctx context.Context, s *rollout.State) (source rollout.Source, tag string, err error)
}

// choose returns the first source that has figures, or the one that was asked for.
func (s *signals) choose(ctx context.Context, state *rollout.State) (rollout.Source, string, error) {
	all := []candidateSource{
		{SignalPlatform, s.platform},
		{SignalProbes, s.probes},
	}
	var last error
	for _, c := range all {
		if s.request.Signal != "" && s.request.Signal != SignalAuto && s.request.Signal != c.signal {
			continue
		}
		source, tag, err := c.open(ctx, state)
		if err == nil {
			return source, tag, nil
		}
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		last = err
		s.report().Debug(fmt.Sprintf("no figures from %s: %v", c.signal, err))
	}
	return nil, "", last
}

// scraper is a Source that reads metrics in Prometheus' text format.
type scraper struct {
	name string
	read func(ctx context.Context) ([]rollout.Point, error)
}

var _ rollout.Source = (*scraper)(nil)

// Name implements rollout.Source.
func (s *scraper) Name() string { return s.name }

// Read implements rollout.Source.
func (s *scraper) Read(ctx context.Context) ([]rollout.Point, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeWithin)
	defer cancel()
	return s.read(ctx)
}

// platform reads the metrics of the embedded platform.
func (s *signals) platform(ctx context.Context, _ *rollout.State) (rollout.Source, string, error) {
	if s.client.Context() != cluster.LocalContext {
		return nil, "", signalError(SignalPlatform, "the cluster is not the embedded platform")
	}
	dialect := rollout.KnativeDialect()
	source := &scraper{name: "the embedded platform's metrics", read: func(ctx context.Context) ([]rollout.Point, error) {
		text, err := s.client.ServerMetrics(ctx)
		if err != nil {
			return nil, err
		}
		return dialect.Points(rollout.ParseText(text, dialect.Wants), "platform", s.client.Namespace(), ""), nil
	}}
	_, err := source.Read(ctx)
	return source, "", err
}

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
