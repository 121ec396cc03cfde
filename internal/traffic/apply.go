package traffic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Difference is one line of what differs between two splits.
type Difference struct {
	Name string // revision or @latest
	Tag  string
	From int // percent
	To   int
	Gone bool // the line is not there any more
}

// String is "hello-v1 100 % → 50 %".
func (c Difference) String() string {
	name := c.Name
	if c.Tag != "" {
		name += " (" + c.Tag + ")"
	}
	if c.Gone && c.Tag != "" && c.From == 0 {
		return name + ": the tag is removed"
	}
	return fmt.Sprintf("%s %s → %s", name, percent(c.From), percent(c.To))
}

// Apply gives the split that an edit asks for. Targets that the edit does not
// name lose their share; those with a tag stay, at 0 %. The order of the lines
// that stay is kept, new ones follow in the order of the edit.
func Apply(current Split, edit []Resolved) (Split, error) {
	current = current.Normal()
	next := current.editable()
	for i := range next {
		next[i].Percent = 0
	}
	owner := make(map[int]string)
	for _, r := range edit {
		i := line(current, r.Target)
		if i < 0 {
			next = append(next, Target{Revision: r.Target.Revision, Latest: r.Target.Latest})
			i = len(next) - 1
		}
		if other, taken := owner[i]; taken {
			return nil, fault.New(fault.Usage, "traffic.apply", "", "%s and %s are the same target, %s", other, r.Ref, next[i].label()).
				WithHint("give it one share")
		}
		owner[i] = r.Ref
		next[i].Percent = r.Percent
	}
	next = next.withoutIdle()
	if sum := next.Sum(); sum != 100 {
		return nil, fault.New(fault.Usage, "traffic.apply", "", "the shares sum to %d, not to 100", sum)
	}
	return next, nil
}

// line picks the line of the split that an edit of target changes: the tagged
// one if a tag is meant, else the one that has the traffic already, else one
// without a tag, else any; -1 when there is none.
func line(current Split, target Target) int {
	if target.Tag != "" {
		return current.Tagged(target.Tag)
	}
	best, bestRank := -1, 0
	for i, t := range current {
		if t.Latest != target.Latest || (!t.Latest && t.Revision != target.Revision) {
			continue
		}
		rank := 1
		if t.Tag == "" {
			rank = 2
		}
		if t.Percent > 0 {
			rank += 2
		}
		if rank > bestRank {
			best, bestRank = i, rank
		}
	}
	return best
}

// Diff lists what differs between two splits, in the order of the first and
// then of the second.
func Diff(from, to Split) []Difference {
	a, b := from.shares(), to.shares()
	var out []Difference
	seen := make(map[place]bool)
	for _, t := range append(slices.Clone(from), to...) {
		p := t.place()
		if seen[p] {
			continue
		}
		seen[p] = true
		_, before := a[p]
		_, after := b[p]
		if a[p] != b[p] || before != after {
			out = append(out, Difference{Name: t.Name(), Tag: t.Tag, From: a[p], To: b[p], Gone: before && !after})
		}
	}
	return out
}

// DiffText is the difference in one line.
func DiffText(changes []Difference) string {
	parts := make([]string, len(changes))
	for i, c := range changes {
		parts[i] = c.String()
	}
	return strings.Join(parts, ", ")
}

// CheckReady refuses a split that the cluster would not take up: Knative's
// route does so only when every revision that is named is there and ready,
// also under a tag and without any traffic. Until then the former split serves,
// whatever the service says.
func CheckReady(known Known, next Split) error {
	for _, t := range next {
		name := t.Pin(known.LatestReady)
		if name == Latest {
			return fault.New(fault.Conflict, "traffic.check", "service/"+known.Service, "no revision of it is ready yet, so %s leads nowhere", Latest).
				WithHint("%s", known.listing())
		}
		i := slices.IndexFunc(known.Revisions, func(r Revision) bool { return r.Name == name })
		switch {
		case i < 0 && t.Latest, i >= 0 && known.Revisions[i].State == Ready:
			continue
		case i < 0:
			return known.blocked(t, fault.New(fault.Conflict, "traffic.check", "revision/"+name, "is gone, and Knative takes up no split that names it"))
		case t.Latest:
			continue // the latest that was ready; the route goes on serving it
		}
		return known.blocked(t, notReady(known.Revisions[i], t))
	}
	return nil
}

// blocked adds to an error about a target what there is to do.
func (k Known) blocked(t Target, err *fault.Error) error {
	hint := "nothing was changed; choose another revision"
	switch {
	case t.Tag != "" && t.Percent > 0:
		hint = fmt.Sprintf("nothing was changed; give the tag's share to another revision and remove the tag with `kn-lite traffic untag -s %s %s`", k.Service, t.Tag)
	case t.Tag != "":
		hint = fmt.Sprintf("nothing was changed; remove its tag first: `kn-lite traffic untag -s %s %s`", k.Service, t.Tag)
	case err.Hint != "":
		hint = err.Hint
	}
	return err.WithHint("%s\n%s", hint, k.listing())
}

func notReady(r Revision, t Target) *fault.Error {
	cause := "it is still starting"
	if r.State == NotReady {
		cause = r.Reason
		if cause == "" {
			cause = "its Ready condition is False"
		}
	} else if r.Reason != "" {
		cause += " (" + r.Reason + ")"
	}
	if r.Message != "" {
		cause += ": " + r.Message
	}
	text := "is not ready, so it gets no traffic: %s"
	if t.Percent == 0 {
		text = "is not ready, and Knative takes up no split that names it: %s"
	}
	err := fault.New(fault.Conflict, "traffic.check", "revision/"+r.Name, text, cause)
	if r.State == NotReady {
		return err.WithHint("nothing was changed; deploy again with what is wrong put right, or choose another revision")
	}
	return err.WithHint("nothing was changed; try again when it is ready, or choose another revision")
}
