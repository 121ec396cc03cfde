package deploy

import (
	"cmp"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

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
	Checked     bool // the API server has been asked, and agrees
}

// newRevision stands for a revision whose name Knative will choose.
const newRevision = "(new)"

// forecast is asked before p.next is replaced by what the API server would store.
func (d *deployer) forecast(p *plan) *Forecast {
	f := &Forecast{NewRevision: p.isNew, Checked: !d.opts.Unchecked}
	next := p.next
	if next == nil {
		next = p.live
	}
	// What a preview has set is nothing that a deploy takes away.
	f.Changes = Differences(p.aside.under(p.live), next, d.opts.Hidden)
	after := d.splitAfter(p, next)
	if p.live != nil {
		f.Before, _ = knative.Snapshot(p.live).Pinned()
		f.Changes = append(f.Changes, following(knative.Spec(p.live), after)...)
	}
	f.After = after.Pin(cmp.Or(p.revision, newRevision))
	if p.outcome == Unchanged {
		f.After = f.Before
	}
	return f
}

// splitAfter returns the split for when the deploy has come to its end.
func (d *deployer) splitAfter(p *plan, next *servingv1.Service) traffic.Split {
	named := *p
	named.revision = cmp.Or(p.revision, newRevision)
	switch {
	case p.outcome == Unchanged:
		return knative.Spec(p.live)
	case p.fresh, d.opts.NoWait && p.isNew:
		return knative.Spec(next)
	case p.isNew && p.former != nil:
		return d.finalSplit(&named, knative.Split(p.former.Pinned))
	}
	return d.finalSplit(&named, knative.Spec(p.live))
}

// following says whether new revisions go on to get traffic by themselves, which the
// shares do not show.
func following(before, after traffic.Split) []Difference {
	shown := map[bool]string{true: "yes", false: "no"}
	from, to := shown[before.Follows()], shown[after.Follows()]
	if from == to {
		return nil
	}
	return []Difference{{Setting: "traffic follows the newest revision", Before: from, After: to}}
}
