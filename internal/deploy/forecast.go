package deploy

import (
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Forecast is what a deploy would do.
type Forecast struct {
	Changes []Difference
	Before  traffic.Split // as it serves now, by name; nil: there is no service
	After   traffic.Split // once the revision is ready
	// NewRevision reports whether a revision is made. Its name is Result.Revision, ""
	// where Knative gives it one.
	NewRevision bool
}

// forecast is asked before p.next is replaced by what the API server would store.
func (d *deployer) forecast(p *plan) *Forecast {
	f := &Forecast{NewRevision: p.isNew}
	if p.live != nil {
		f.Before, _ = knative.Snapshot(p.live).Pinned()
	}
	next := p.next
	if next == nil {
		next = p.live
	}
	f.Changes = Differences(p.live, next)
	switch {
	case p.outcome == Unchanged:
		f.After = f.Before
	case p.fresh, d.opts.NoWait && p.isNew:
		f.After = knative.Split(next.Spec.Traffic).Pin(p.revision)
	case p.isNew && p.former != nil:
		f.After = d.finalSplit(p, knative.Split(p.former.Pinned)).Pin(p.revision)
	default:
		f.After = d.finalSplit(p, knative.Spec(p.live)).Pin(p.revision)
	}
	return f
}
