// Package preview keeps the record of a service's previews: revisions without
// traffic, each at the URL of a tag, that somebody looks at for a while. The record
// is an annotation of the service; this package reads and changes its text.
package preview

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Key is the annotation of the service.
const Key = traffic.Prefix + "previews"

// Tag returns the tag of the preview of a pull request.
func Tag(number int) string { return traffic.PreviewPrefix + strconv.Itoa(number) }

// Times say since when there is a preview and until when.
type Times struct {
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// read returns the record by tags. One that cannot be read is none: the tags are what
// counts, and without their times they stay until they are named.
func read(annotation string) map[string]Times {
	var all map[string]Times
	if json.Unmarshal([]byte(annotation), &all) != nil || all == nil {
		return map[string]Times{}
	}
	return all
}

// Extend returns the record with one more preview, or with a later end of one, and
// without those whose tags the split does not have any longer.
func Extend(annotation string, split traffic.Split, number int, now time.Time, lifetime time.Duration) string {
	all := current(annotation, split)
	now = now.UTC().Truncate(time.Second)
	times, known := all[Tag(number)]
	if !known || times.Created.IsZero() {
		times.Created = now
	}
	times.Expires = now.Add(lifetime)
	all[Tag(number)] = times
	return write(all)
}

// Without returns the record without those whose tags the split does not have; ""
// when there are none left.
func Without(annotation string, split traffic.Split) string {
	all := current(annotation, split)
	if len(all) == 0 {
		return ""
	}
	return write(all)
}

func current(annotation string, split traffic.Split) map[string]Times {
	all := read(annotation)
	maps.DeleteFunc(all, func(tag string, _ Times) bool { return split.Tagged(tag) < 0 })
	return all
}

func write(all map[string]Times) string {
	raw, _ := json.Marshal(all) // strings and times of this century marshal
	return string(raw)
}

// Preview is one that there is.
type Preview struct {
	Number int
	Tag    string
	Target traffic.Target // of the split; its URL where the route has it
	Times                 // zero: made by a deploy with such a tag, and never ends by itself
}

// Expired reports whether its time is over.
func (p Preview) Expired(now time.Time) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }

// List returns the previews of a service by their numbers: every tag pr-N.
func List(snap *traffic.Snapshot) []Preview {
	all := read(snap.Annotations[Key])
	var out []Preview
	for _, t := range snap.Spec.Normal() {
		n := traffic.PreviewNumber(t.Tag)
		if n == 0 {
			continue
		}
		if i := snap.Observed.Tagged(t.Tag); i >= 0 {
			t.URL = snap.Observed[i].URL
		}
		out = append(out, Preview{Number: n, Tag: t.Tag, Target: t, Times: all[t.Tag]})
	}
	slices.SortFunc(out, func(a, b Preview) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// Select returns the previews that go: those that are named and those whose time is
// over; and the numbers that name none.
func Select(all []Preview, named []int, now time.Time) (gone []Preview, unknown []int) {
	for _, p := range all {
		if slices.Contains(named, p.Number) || p.Expired(now) {
			gone = append(gone, p)
		}
	}
	for _, n := range named {
		if !slices.ContainsFunc(all, func(p Preview) bool { return p.Number == n }) && !slices.Contains(unknown, n) {
			unknown = append(unknown, n)
		}
	}
	return gone, unknown
}

// FromCI returns the number of the pull or merge request that a pipeline runs for; 0
// when it runs for none, or is of another system.
func FromCI(env func(string) string) int {
	if ref, ok := strings.CutPrefix(env("GITHUB_REF"), "refs/pull/"); ok {
		digits, _, _ := strings.Cut(ref, "/")
		return traffic.PreviewNumber(traffic.PreviewPrefix + digits)
	}
	return traffic.PreviewNumber(traffic.PreviewPrefix + env("CI_MERGE_REQUEST_IID"))
}
