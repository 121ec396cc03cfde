// Package traffic is the arithmetic of traffic splits: parsing what a user
// asked for, resolving it against the revisions there are, and turning the
// current split into the next one. It talks to a cluster only through Store.
package traffic

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Target is one line of a split: where it leads and its share in percent.
//
// In a spec exactly one of Revision and Latest says where it leads; in an
// observed split a target with Latest also names the revision that this was.
type Target struct {
	Revision string
	Latest   bool   // follow the newest revision that is ready
	Percent  int    // 0 to 100, whole
	Tag      string // "" or the name of a URL of its own
	URL      string // of the tag; observed splits only
}

// Split is a list of targets in the order in which the service keeps them.
type Split []Target

// Normal is the split as Knative's defaulting webhook would leave it, so that
// objects written around the webhook read the same: no targets at all is all
// of the traffic to the latest revision, and so is a target without a name.
func (s Split) Normal() Split {
	if len(s) == 0 {
		return Split{{Latest: true, Percent: 100}}
	}
	out := slices.Clone(s)
	for i := range out {
		if out[i].Revision == "" {
			out[i].Latest = true
		}
	}
	return out
}

// Merge returns the split with one line for each place.
func (s Split) Merge() Split {
	out := make(Split, 0, len(s))
	at := make(map[place]int)
	for _, t := range s {
		if i, seen := at[t.place()]; seen {
			out[i].Percent += t.Percent
			continue
		}
		at[t.place()] = len(out)
		out = append(out, t)
	}
	return out
}

// Sum is the total of all shares.
func (s Split) Sum() int {
	sum := 0
	for _, t := range s {
		sum += t.Percent
	}
	return sum
}

// Tagged is the index of the target with the tag, or -1.
func (s Split) Tagged(tag string) int {
	return slices.IndexFunc(s, func(t Target) bool { return tag != "" && t.Tag == tag })
}

// Percent is the share of a revision over all its targets. Targets that follow
// the latest revision count when latest is the revision's name.
func (s Split) Percent(revision, latest string) int {
	sum := 0
	for _, t := range s.Pin(latest) {
		if t.Revision == revision {
			sum += t.Percent
		}
	}
	return sum
}

// Pin replaces "the latest revision" by that revision's name: the split stays
// as it is when a newer one appears. An empty name changes nothing.
func (s Split) Pin(latest string) Split {
	out := slices.Clone(s)
	for i, t := range out {
		if name := t.Pin(latest); t.Latest && name != Latest {
			out[i].Revision, out[i].Latest = name, false
		}
	}
	return out
}

// Pin is the name of the revision that a target leads to now, where latest is
// the newest ready one: a spec does not say it, an observed split does.
func (t Target) Pin(latest string) string {
	if t.Latest && t.Revision == "" && latest != "" {
		return latest
	}
	if t.Revision == "" {
		return Latest
	}
	return t.Revision
}

// Equal reports whether two splits ask for the same: order, URLs and how a
// share is divided over equal lines do not matter.
func (s Split) Equal(other Split) bool {
	a, b := s.shares(), other.shares()
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// SameShares reports whether both give every revision the same share, whatever their tags.
func (s Split) SameShares(other Split) bool {
	bare := func(s Split) (out Split) {
		for _, t := range s {
			if t.Percent > 0 {
				t.Tag, t.URL = "", ""
				out = append(out, t)
			}
		}
		return out.Merge()
	}
	return bare(s).Equal(bare(other))
}

// place is where requests go, apart from how many.
type place struct {
	revision string
	latest   bool
	tag      string
}

func (s Split) shares() map[place]int {
	out := make(map[place]int)
	for _, t := range s {
		p := t.place()
		if t.Percent != 0 || t.Tag != "" {
			out[p] += t.Percent
		}
	}
	return out
}

// place ignores the revision that an observed target followed.
func (t Target) place() place {
	if t.Latest {
		return place{latest: true, tag: t.Tag}
	}
	return place{revision: t.Revision, tag: t.Tag}
}

// Same reports whether two targets lead to the same place under the same tag,
// whatever their shares.
func (t Target) Same(other Target) bool { return t.place() == other.place() }

// Missing returns the lines of s that other has no line for.
func (s Split) Missing(other Split) Split {
	var out Split
	for _, t := range s {
		if !slices.ContainsFunc(other, t.Same) {
			out = append(out, t)
		}
	}
	return out
}

// Name is the revision, or @latest.
func (t Target) Name() string {
	if t.Latest {
		return Latest
	}
	return t.Revision
}

// String is "hello-v1=50 hello-v2=50"; a tag stands behind the name as (tag).
func (s Split) String() string {
	parts := make([]string, len(s))
	for i, t := range s {
		parts[i] = t.Name()
		if t.Tag != "" {
			parts[i] += "(" + t.Tag + ")"
		}
		parts[i] += "=" + strconv.Itoa(t.Percent)
	}
	return strings.Join(parts, " ")
}

// percent is a share for people: "50 %".
func percent(n int) string { return fmt.Sprintf("%d %%", n) }
