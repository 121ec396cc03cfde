// Package revision decides which revisions of a service are in use, and which of
// the others go when a service is tidied up. It decides and does nothing.
package revision

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Code says what a revision is in use for.
type Code string

// The uses. The last three hold for GC alone: such a revision may be deleted by name.
const (
	Routed        Code = "routed"         // it gets requests, or is asked to
	Tagged        Code = "tagged"         // it has a URL of its own
	LatestReady   Code = "latest-ready"   // what @latest means
	LatestCreated Code = "latest-created" // Knative would make it again
	Deploying     Code = "deploying"      // a deploy that is under way needs it, or would go back to it
	RollingOut    Code = "rolling-out"    // the same of a rollout

	Preserved Code = "preserved" // serving.knative.dev/no-gc
	Undo      Code = "undo"      // in the history of splits: undo goes back to it
	Newest    Code = "newest"    // one of the newest that nothing else holds
	Young     Code = "young"
)

// Reason is one use of a revision.
type Reason struct {
	Code Code
	Text string // for people: "gets 50 % of the traffic"
	Tag  string // of Tagged
}

// Revision is a revision with what its use depends on.
type Revision struct {
	traffic.Revision
	Preserved bool // Knative's own garbage collection leaves it alone
}

// Service is what a service says of its revisions.
type Service struct {
	LatestReady   string
	LatestCreated string
	Spec          traffic.Split
	Observed      traffic.Split
	Past          []traffic.Past // replaced splits that undo goes back to
	Deploying     []string       // revisions that a deploy under way refers to
	RollingOut    []string       // and a rollout
}

// Uses returns what stands against deleting a revision by name; none when it may go.
func (s *Service) Uses(name string) []Reason {
	var out []Reason
	if share := max(s.Spec.Normal().Percent(name, s.LatestReady), s.Observed.Percent(name, s.LatestReady)); share > 0 {
		out = append(out, Reason{Code: Routed, Text: fmt.Sprintf("gets %d %% of the traffic", share)})
	}
	var tags []string
	for _, t := range slices.Concat(s.Spec, s.Observed) {
		if t.Tag != "" && t.Pin(s.LatestReady) == name && !slices.Contains(tags, t.Tag) {
			tags = append(tags, t.Tag)
			out = append(out, Reason{Code: Tagged, Text: "has the tag " + t.Tag, Tag: t.Tag})
		}
	}
	if name == s.LatestReady {
		out = append(out, Reason{Code: LatestReady, Text: "is the latest ready revision"})
	}
	if name == s.LatestCreated && name != s.LatestReady {
		out = append(out, Reason{Code: LatestCreated, Text: "is the latest revision, which Knative would make again"})
	}
	if slices.Contains(s.Deploying, name) {
		out = append(out, Reason{Code: Deploying, Text: "belongs to a deploy that is under way"})
	}
	if slices.Contains(s.RollingOut, name) {
		out = append(out, Reason{Code: RollingOut, Text: "belongs to a rollout that is under way"})
	}
	return out
}

// inHistory reports whether undo goes back to a revision.
func (s *Service) inHistory(name string) bool {
	return slices.ContainsFunc(s.Past, func(p traffic.Past) bool {
		return slices.ContainsFunc(p.Split, func(t traffic.Target) bool {
			return !t.Latest && t.Revision == name && (t.Percent > 0 || t.Tag != "")
		})
	})
}

// Policy says what GC leaves beside what is in use.
type Policy struct {
	Keep        int           // the newest so many of those that nothing else holds
	YoungerThan time.Duration // and those that are younger; 0: none
	Now         time.Time
}

// Verdict is what GC says of one revision.
type Verdict struct {
	Revision
	Reasons []Reason // why it stays; none: it goes
}

// GC returns what becomes of each revision, the newest first.
func GC(s *Service, revisions []Revision, p Policy) []Verdict {
	out := make([]Verdict, 0, len(revisions))
	for _, r := range newestFirst(revisions) {
		out = append(out, Verdict{r, s.held(r)})
	}
	left := p.Keep
	for i := range out {
		v := &out[i]
		if len(v.Reasons) > 0 {
			continue
		}
		if age := p.Now.Sub(v.Created); p.YoungerThan > 0 && age < p.YoungerThan {
			v.Reasons = append(v.Reasons, Reason{Code: Young, Text: "is young"})
		}
		if left > 0 {
			left--
			v.Reasons = append(v.Reasons, Reason{Code: Newest, Text: "is one of the newest"})
		}
	}
	return out
}

// held returns why a revision stays whatever the policy says.
func (s *Service) held(r Revision) []Reason {
	out := s.Uses(r.Name)
	if r.Preserved {
		out = append(out, Reason{Code: Preserved, Text: "is annotated with serving.knative.dev/no-gc"})
	}
	if s.inHistory(r.Name) {
		out = append(out, Reason{Code: Undo, Text: "is in the history of splits, which undo goes back to"})
	}
	return out
}

// newestFirst orders by generation, then by age: revisions of other tools may lack
// the generation.
func newestFirst(revisions []Revision) []Revision {
	return slices.SortedStableFunc(slices.Values(revisions), func(a, b Revision) int {
		return cmp.Or(cmp.Compare(b.Generation, a.Generation), b.Created.Compare(a.Created), cmp.Compare(b.Name, a.Name))
	})
}
