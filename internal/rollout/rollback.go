package rollout

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Rollback asks for an earlier state of a service's traffic.
type Rollback struct {
	Service string
	To      string // the revision that gets all of it; "": the last good split
	By      string // who asks, for people
	Now     time.Time
}

// Run goes back: to the split before a rollout that is under way, which ends; else to
// the last split of the history whose revisions are all ready; or to one revision.
//
// The split that is left is not added to the history, and what has come since the one
// that comes back leaves it: whoever goes back twice goes further back, and never
// forward to what they have just left.
func (r Rollback) Run(ctx context.Context, store traffic.Writer, options traffic.Options) (traffic.Result, error) {
	return traffic.Update(ctx, store, r.Service, r.plan, options)
}

func (r Rollback) plan(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
	target, entries, err := r.find(snap, known)
	if err != nil {
		return traffic.Change{}, err
	}
	change := traffic.Change{Split: target}
	if text := traffic.Shorten(snap.Annotations[traffic.HistoryKey], entries); text != "" {
		change = change.Annotate(traffic.HistoryKey, text)
	} else {
		change = change.Remove(traffic.HistoryKey)
	}
	if target.Equal(snap.Spec.Normal()) {
		change.Annotations = nil
	}
	if s := StateOf(snap); s != nil && s.Active() {
		phase := Aborted
		if !target.Equal(s.Before) {
			phase = Superseded
		}
		change = s.finish(phase, "rolled back by "+r.By, r.Now).note(change)
	}
	return change, nil
}

// find returns the split to go back to, and how many entries of the history are older.
func (r Rollback) find(snap *traffic.Snapshot, known traffic.Known) (traffic.Split, int, error) {
	past, err := traffic.History(snap.Annotations[traffic.HistoryKey])
	if err != nil {
		past = nil
	}
	if r.To != "" {
		return r.toRevision(known, past)
	}
	if s := StateOf(snap); s != nil && s.Active() && s.Changed(snap) == "" {
		return s.Before, before(past, s.Before), traffic.CheckReady(known, s.Before)
	}
	now := snap.Spec.Normal()
	var reasons []string
	for i := len(past) - 1; i >= 0; i-- {
		split := past[i].Split.Normal()
		if split.SameShares(now) {
			continue // only tags were changed since
		}
		err := traffic.CheckReady(known, split)
		if err == nil {
			return withTags(split, now), i, nil
		}
		reasons = append(reasons, fmt.Sprintf("%s: %v", split, err))
	}
	subject := "service/" + r.Service
	if len(reasons) > 0 {
		return nil, 0, fault.New(fault.Conflict, "rollback", subject, "none of its former splits can serve now").
			WithHint("%s\nnothing was changed; name a revision: `kn-lite rollback %s REVISION`", strings.Join(reasons, "\n"), r.Service)
	}
	return nil, 0, fault.New(fault.NotFound, "rollback", subject, "no former split of it is known").
		WithHint("nothing was changed; name a revision: `kn-lite rollback %s REVISION`", r.Service)
}

// withTags returns the split with the tags of now that it does not have: a rollback is
// about shares, and takes no URL away.
func withTags(split, now traffic.Split) traffic.Split {
	for _, t := range now {
		if t.Tag != "" && split.Tagged(t.Tag) < 0 {
			t.Percent, t.URL = 0, ""
			split = append(split, t)
		}
	}
	return split
}

func (r Rollback) toRevision(known traffic.Known, past []traffic.Past) (traffic.Split, int, error) {
	found, err := traffic.Resolve(known, traffic.Edit{{Ref: r.To, Percent: 100}})
	if err != nil {
		return nil, 0, err
	}
	change, err := known.ApplyReady(found)
	return change.Split, before(past, change.Split), err
}

// before returns how many entries of the history are older than the last one that is
// this split, or all where none is.
func before(past []traffic.Past, split traffic.Split) int {
	for i := len(past) - 1; i >= 0; i-- {
		if past[i].Split.Normal().Equal(split.Normal()) {
			return i
		}
	}
	return len(past)
}
