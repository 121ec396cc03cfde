package app

import (
	"context"
	"fmt"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/rollout"
)

// Signal names what the figures of a rollout are read from.
type Signal string

// The signals, in the order in which they are tried.
const (
	SignalAuto       Signal = "auto"        // the first that has figures
	SignalPrometheus Signal = "prometheus"  // a Prometheus server whose address was given
	SignalIngress    Signal = "ingress"     // the metrics of the ingress's gateway
	SignalQueue      Signal = "queue-proxy" // those of Knative's proxy in each pod
	SignalPlatform   Signal = "platform"    // those of the embedded platform
	SignalProbes     Signal = "probes"      // requests of our own
)

// Signals returns what a Signal may be.
func Signals() []Signal {
	return []Signal{SignalAuto, SignalPrometheus, SignalIngress, SignalQueue, SignalPlatform, SignalProbes}
}

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
		{SignalPrometheus, s.prometheus},
		{SignalIngress, s.gateway},
		{SignalQueue, s.queueProxies},
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
		if c.signal == SignalPrometheus && s.request.Prometheus != "" {
			return nil, "", err // it was named, so nothing else is meant
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
