package traffic

import (
	"context"
	"slices"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Request is what somebody wants of a split. Tags are removed first, then given, then
// the shares are changed, by at most one of Edit, Move and Undo.
type Request struct {
	Untag []string
	Tag   []Tagging
	Edit  Edit
	// Rescale leaves the targets that Edit does not name their proportions: they share
	// what it leaves, instead of losing all. Edit may then sum to less than 100.
	Rescale bool
	Move    *Move
	Undo    *Undo
}

// IsRelative reports whether the request means the same after somebody else's change
// of the split: it does not say what the split is to be in the end.
func (r Request) IsRelative() bool { return r.Edit == nil && r.Undo == nil }

// Do reads a service and changes its split as the request says. See Update.
func (r Request) Do(ctx context.Context, store Writer, service string, opts Options) (Result, error) {
	if r.IsRelative() {
		opts.Rebase = r.rebase
	}
	return Update(ctx, store, service, r.plan, opts)
}

// rebase reports whether a relative request holds for a split that others have changed:
// if the tags that it is about still lead where they did.
func (r Request) rebase(was, now Split) bool {
	tags := slices.Clone(r.Untag)
	for _, t := range r.Tag {
		tags = append(tags, t.Tag)
	}
	return !slices.ContainsFunc(tags, func(tag string) bool {
		a, b := was.Tagged(tag), now.Tagged(tag)
		return a < 0 != (b < 0) || a >= 0 && !was[a].Same(now[b])
	})
}

func (r Request) plan(snap *Snapshot, known Known) (Change, error) {
	var err error
	if len(r.Untag) > 0 {
		if known.Split, err = RemoveTags(known.Split, r.Untag); err != nil {
			return Change{}, err
		}
		// A split that has tags of revisions that are gone is repaired by it.
		if r.Tag == nil && r.Edit == nil && r.Move == nil && r.Undo == nil {
			return Change{Split: known.Split}, nil
		}
	}
	if len(r.Tag) > 0 {
		if known.Split, err = known.AddTags(r.Tag); err != nil {
			return Change{}, err
		}
	}
	next, err := r.shares(snap, known)
	if err != nil {
		return Change{}, err
	}
	if err := CheckReady(known, next); err != nil {
		return Change{}, r.explain(err, snap)
	}
	return Change{Split: next}, nil
}

// shares returns the split after the change of shares.
func (r Request) shares(snap *Snapshot, known Known) (Split, error) {
	switch {
	case r.Undo != nil:
		return r.Undo.find(snap)
	case r.Move != nil:
		return known.Move(*r.Move)
	case r.Edit == nil:
		return known.Split, nil
	}
	resolved, err := Resolve(known, r.Edit)
	if err != nil {
		return nil, err
	}
	if r.Rescale {
		return rescale(known.Split, resolved)
	}
	return Apply(known.Split, resolved)
}

// explain adds to a split that cannot be written what there is to do about it.
func (r Request) explain(err error, snap *Snapshot) error {
	if r.Undo == nil {
		return err
	}
	return (&fault.Error{Op: "traffic.undo", Kind: fault.KindOf(err), Err: err}).
		WithHint("nothing was changed; `kn-lite traffic history %s` has older splits, for {Steps} or {To}", snap.Name)
}

// rescale gives some targets their shares, and the others what they leave, in the
// proportions that the others have.
func rescale(current Split, edit []Resolved) (Split, error) {
	next := current.editable()
	var named []int
	sum := 0
	for _, r := range edit {
		i := line(next, r.Target)
		if i < 0 {
			next = append(next, Target{Revision: r.Target.Revision, Latest: r.Target.Latest})
			i = len(next) - 1
		}
		if slices.Contains(named, i) {
			return nil, fault.New(fault.Usage, "traffic.apply", "", "%s is named twice", next[i].label()).WithHint("give it one share")
		}
		named = append(named, i)
		next[i].Percent = r.Percent
		sum += r.Percent
	}
	others := next.without(named)
	if have := next.sumOf(others); have == 0 && sum < 100 {
		return nil, fault.New(fault.Conflict, "traffic.apply", "", "the shares sum to %d, and no other target has traffic to take the rest", sum).
			WithHint("name one that does; the split is %s", current)
	}
	next.scale(others, 100-sum)
	return next.withoutIdle(), nil
}
