package traffic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// References that name a role rather than a revision.
const (
	Latest = "@latest" // whichever revision is the newest that is ready, now and later
	Prev   = "@prev"   // the ready revision before the newest ready one
	Stable = "@stable" // the revision with the largest share now
)

// minPrefix is how many characters of a commit or digest are asked for, so
// that a reference does not become ambiguous by accident a week later.
const minPrefix = 4

// State is what Knative says of a revision's Ready condition.
type State string

// The three states of a condition.
const (
	Ready    State = "True"
	NotReady State = "False"
	Unknown  State = "Unknown"
)

// Revision is what resolving needs to know of one.
type Revision struct {
	Name       string
	Generation int64 // of the configuration that made it: newer is larger
	Created    time.Time
	State      State
	Reason     string // of the Ready condition, when it is not True
	Message    string
	Image      string // with its digest where known
	Commit     string // of the source, or ""
}

// Known is everything that a reference can mean.
type Known struct {
	Service     string
	Revisions   []Revision
	LatestReady string // name; "" when no revision has ever been ready
	Split       Split  // the current spec, for tags and @stable
}

// Resolved is a share whose reference has been found. Tag is set when the
// reference was a tag, and then that very line of the split is meant.
type Resolved struct {
	Share
	Target Target
}

// Resolve finds what each reference of an edit means. An unknown reference is
// a fault.NotFound that lists what there is; an ambiguous one, or two for the
// same target, a fault.Usage that lists the candidates.
func Resolve(known Known, edit Edit) ([]Resolved, error) {
	known.Split = known.Split.Normal()
	out := make([]Resolved, 0, len(edit))
	for _, share := range edit {
		target, err := known.find(share.Ref)
		if err != nil {
			return nil, err
		}
		for _, other := range out {
			if other.Target == target {
				return nil, fault.New(fault.Usage, "traffic.resolve", "", "%s and %s are the same target, %s", other.Ref, share.Ref, target.label()).
					WithHint("give it one share")
			}
		}
		out = append(out, Resolved{Share: share, Target: target})
	}
	return out, nil
}

// candidate is one meaning of a reference.
type candidate struct {
	target Target
	kind   string // "revision" or "tag"
	leads  string // the revision that it comes to
}

func (k Known) find(ref string) (Target, error) {
	switch ref {
	case Latest:
		return Target{Latest: true}, nil
	case Prev:
		return k.prev()
	case Stable:
		return k.stable()
	}
	scheme, value, _ := strings.Cut(ref, ":")
	switch scheme {
	case "git":
		return k.byPrefix(ref, value, func(r Revision) string { return r.Commit })
	case "sha256", "@sha256":
		return k.byPrefix(ref, value, func(r Revision) string {
			_, digest, _ := strings.Cut(r.Image, "@sha256:")
			return digest
		})
	case "tag":
		if i := k.Split.Tagged(value); i >= 0 {
			return k.tagTarget(i), nil
		}
		return Target{}, k.unknown(ref)
	}
	if strings.HasPrefix(ref, "@") {
		return Target{}, k.unknown(ref)
	}
	return k.pick(ref, k.candidates(ref))
}

func (k Known) candidates(ref string) []candidate {
	var found []candidate
	for _, r := range k.Revisions {
		if r.Name == ref || r.Name == k.Service+"-"+ref {
			found = append(found, candidate{target: Target{Revision: r.Name}, kind: "revision", leads: r.Name})
		}
	}
	if i := k.Split.Tagged(ref); i >= 0 {
		found = append(found, candidate{target: k.tagTarget(i), kind: "tag", leads: k.Split[i].Pin(k.LatestReady)})
	}
	return found
}

func (k Known) tagTarget(i int) Target {
	t := k.Split[i]
	if t.Latest {
		t.Revision = ""
	}
	return Target{Revision: t.Revision, Latest: t.Latest, Tag: t.Tag}
}

func (k Known) pick(ref string, found []candidate) (Target, error) {
	if len(found) == 0 {
		return Target{}, k.unknown(ref)
	}
	for _, c := range found[1:] {
		if c.leads == found[0].leads {
			continue
		}
		var lines []string
		for _, c := range found {
			line := "  " + c.leads + " (revision)"
			if c.kind == "tag" {
				line = fmt.Sprintf("  tag:%s (leads to %s)", c.target.Tag, c.leads)
			}
			lines = append(lines, line)
		}
		return Target{}, fault.New(fault.Usage, "traffic.resolve", "", "%q is ambiguous", ref).
			WithHint("it could be\n%s", strings.Join(lines, "\n"))
	}
	return found[0].target, nil
}

func (k Known) byPrefix(ref, prefix string, field func(Revision) string) (Target, error) {
	if len(prefix) < minPrefix {
		return Target{}, fault.New(fault.Usage, "traffic.resolve", "", "%s: at least %d characters are needed", ref, minPrefix)
	}
	var found []candidate
	for _, r := range k.Revisions {
		if strings.HasPrefix(field(r), strings.ToLower(prefix)) {
			found = append(found, candidate{target: Target{Revision: r.Name}, kind: "revision", leads: r.Name})
		}
	}
	return k.pick(ref, found)
}

// newestFirst is the order by configuration generation, then by age: foreign
// objects may lack the generation label.
func newestFirst(revisions []Revision) []Revision {
	out := slices.Clone(revisions)
	slices.SortStableFunc(out, func(a, b Revision) int {
		return cmp.Or(cmp.Compare(b.Generation, a.Generation), b.Created.Compare(a.Created), cmp.Compare(b.Name, a.Name))
	})
	return out
}

func (k Known) prev() (Target, error) {
	passed := false
	for _, r := range newestFirst(k.Revisions) {
		if passed && r.State == Ready {
			return Target{Revision: r.Name}, nil
		}
		passed = passed || r.Name == k.LatestReady
	}
	return Target{}, fault.New(fault.NotFound, "traffic.resolve", "", "%s: there is no ready revision before the latest one", Prev).
		WithHint("%s", k.listing())
}

func (k Known) stable() (Target, error) {
	share := make(map[string]int)
	most := 0
	for _, t := range k.Split {
		name := t.Pin(k.LatestReady)
		share[name] += t.Percent
		most = max(most, share[name])
	}
	var found []candidate
	for _, r := range newestFirst(k.Revisions) {
		if most > 0 && share[r.Name] == most {
			found = append(found, candidate{target: Target{Revision: r.Name}, kind: "revision", leads: r.Name})
		}
	}
	return k.pick(Stable, found)
}

func (k Known) unknown(ref string) error {
	err := fault.New(fault.NotFound, "traffic.resolve", "", "service %s has no revision or tag %q", k.Service, ref)
	hint := k.listing()
	var names []string
	for _, r := range k.Revisions {
		names = append(names, r.Name, strings.TrimPrefix(r.Name, k.Service+"-"))
	}
	for _, t := range k.Split {
		names = append(names, t.Tag)
	}
	names = append(names, Latest, Prev, Stable)
	if near := fault.Nearest(ref, names); near != "" {
		hint = "did you mean " + near + "?\n" + hint
	}
	return err.WithHint("%s", hint)
}

// listing says what there is, the newest revision first.
func (k Known) listing() string {
	if len(k.Revisions) == 0 {
		return "it has no revisions yet"
	}
	var names []string
	for _, r := range newestFirst(k.Revisions) {
		name := r.Name
		if r.State != Ready {
			name += " (not ready)"
		}
		names = append(names, name)
	}
	text := "revisions: " + strings.Join(names, ", ")
	if tags := k.tagList(); tags != noTags {
		text += "\n" + tags
	}
	return text
}

const noTags = "it has no tags"

func (k Known) tagList() string {
	var tags []string
	for _, t := range k.Split {
		if t.Tag != "" {
			tags = append(tags, t.Tag)
		}
	}
	if len(tags) == 0 {
		return noTags
	}
	return "tags: " + strings.Join(tags, ", ")
}

func (t Target) label() string {
	if t.Tag != "" {
		return "tag " + t.Tag
	}
	return t.Name()
}
