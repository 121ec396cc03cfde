package deploy

import (
	"slices"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// SplitOf reads a list of traffic targets. Objects that were written around
// the defaulting webhook have nil where it would put false and 0.
func SplitOf(targets []servingv1.TrafficTarget) traffic.Split {
	out := make(traffic.Split, 0, len(targets))
	for _, t := range targets {
		target := traffic.Target{Revision: t.RevisionName, Tag: t.Tag, Latest: t.LatestRevision != nil && *t.LatestRevision}
		if t.Percent != nil {
			target.Percent = int(*t.Percent)
		}
		if t.URL != nil {
			target.URL = t.URL.String()
		}
		out = append(out, target)
	}
	return out
}

// TargetsOf is SplitOf the other way round, for a spec. Lines for the same
// place become one: Knative merges them in its status, and then waits for ever
// for status and spec to have the same length.
func TargetsOf(split traffic.Split) []servingv1.TrafficTarget {
	split = split.Merge()
	out := make([]servingv1.TrafficTarget, 0, len(split))
	for _, t := range split {
		percent := int64(t.Percent)
		latest := t.Latest
		target := servingv1.TrafficTarget{Tag: t.Tag, Percent: &percent, LatestRevision: &latest}
		if !latest {
			target.RevisionName = t.Revision
		}
		out = append(out, target)
	}
	return out
}

// follows reports whether new revisions get traffic by themselves.
func follows(split traffic.Split) bool {
	return slices.ContainsFunc(split, func(t traffic.Target) bool { return t.Latest && t.Percent > 0 })
}

// pinned returns the split as it serves now, by name: a new revision that
// becomes ready gets nothing of it. A tag on the latest revision stays one,
// since its owner wants it to move. The name is what "the latest revision"
// means now, "" when it is none or, in a gradual rollout, several.
func pinned(svc *servingv1.Service) (traffic.Split, string) {
	var out traffic.Split
	names := make(map[string]bool)
	for _, t := range SplitOf(svc.Spec.Traffic).Normal() {
		if !t.Latest {
			out = append(out, t)
			continue
		}
		for _, followed := range followed(svc, t) {
			if followed.Revision == "" {
				out = append(out, followed) // no revision has ever been ready
				continue
			}
			names[followed.Revision] = true
			out = give(out, followed.Revision, followed.Percent)
		}
		if t.Tag != "" {
			t.Percent = 0
			out = append(out, t)
		}
	}
	if len(names) == 1 {
		for name := range names {
			return out, name
		}
	}
	return out, ""
}

// followed returns what the route makes of a target that follows the latest
// revision: one line, or one for each revision of a gradual rollout. The route
// is what requests meet, and it lags behind the configuration.
func followed(svc *servingv1.Service, target traffic.Target) traffic.Split {
	if target.Percent == 0 {
		return nil
	}
	var lines traffic.Split
	for _, t := range SplitOf(svc.Status.Traffic) {
		if t.Latest && t.Tag == target.Tag && t.Revision != "" && t.Percent > 0 {
			lines = append(lines, traffic.Target{Revision: t.Revision, Percent: t.Percent})
		}
	}
	if lines.Sum() == target.Percent {
		return lines
	}
	// The route has not taken up this share yet: all of it goes to whichever has most.
	most := traffic.Target{Revision: svc.Status.LatestReadyRevisionName}
	for _, t := range lines {
		if t.Percent > most.Percent {
			most = t
		}
	}
	most.Percent = target.Percent
	most.Latest = most.Revision == ""
	return traffic.Split{most}
}

// unfollow gives the shares that follow the latest revision to one by name.
func unfollow(split traffic.Split, revision string) traffic.Split {
	var out traffic.Split
	for _, t := range split {
		if !t.Latest {
			out = append(out, t)
			continue
		}
		if t.Percent > 0 {
			out = give(out, revision, t.Percent)
		}
		if t.Tag != "" {
			t.Percent = 0
			out = append(out, t)
		}
	}
	return out
}

// follow turns the untagged share of a revision into one of the latest.
func follow(split traffic.Split, revision string) traffic.Split {
	for i, t := range split {
		if t.Revision == revision && !t.Latest && t.Tag == "" && t.Percent > 0 {
			split[i].Revision, split[i].Latest = "", true
		}
	}
	return split
}

// give adds percent to the untagged line of revision, or adds a line.
func give(split traffic.Split, revision string, percent int) traffic.Split {
	for i, t := range split {
		if t.Revision == revision && !t.Latest && t.Tag == "" {
			split[i].Percent += percent
			return split
		}
	}
	return append(split, traffic.Target{Revision: revision, Percent: percent})
}

// finalSplit returns the split once revision is ready. Lines with a tag stay,
// at whatever is left for them; the tag, if one is asked for, moves to revision.
func finalSplit(current traffic.Split, revision string, want Traffic, tag string) traffic.Split {
	next := slices.Clone(current)
	for i := range next {
		next[i].URL = ""
	}
	switch {
	case want.Keep:
	case want.Partial:
		next = share(next, revision, want.Share)
	default:
		next = share(next, revision, 100)
		if want.Follow {
			next = follow(next, revision)
		}
	}
	if tag != "" {
		next = retag(next, revision, tag)
	}
	return next
}

// share gives revision percent of the traffic and the rest to the others in
// their present proportions. Whole percents are handed out by largest
// remainder, so that they sum to 100 and nobody is off by one or more.
func share(split traffic.Split, revision string, percent int) traffic.Split {
	others := 0
	for _, t := range split {
		if t.Latest || t.Revision != revision {
			others += t.Percent
		}
	}
	if others == 0 {
		percent = 100 // nobody is there to take the rest
	}
	rest := 100 - percent
	type fraction struct{ index, remainder int }
	var fractions []fraction
	left := rest
	for i, t := range split {
		if t.Revision == revision && !t.Latest {
			split[i].Percent = 0
			continue
		}
		if others == 0 {
			continue
		}
		split[i].Percent = t.Percent * rest / others
		left -= split[i].Percent
		fractions = append(fractions, fraction{i, t.Percent * rest % others})
	}
	slices.SortStableFunc(fractions, func(a, b fraction) int { return b.remainder - a.remainder })
	for _, f := range fractions[:min(left, len(fractions))] {
		split[f.index].Percent++
	}
	split = slices.DeleteFunc(split, func(t traffic.Target) bool { return t.Percent == 0 && t.Tag == "" && t.Revision != revision })
	return drop(give(split, revision, percent))
}

// drop removes the lines that say nothing.
func drop(split traffic.Split) traffic.Split {
	return slices.DeleteFunc(split, func(t traffic.Target) bool { return t.Percent == 0 && t.Tag == "" })
}

// retag moves a tag: the line that had it keeps its share without a name.
func retag(split traffic.Split, revision, tag string) traffic.Split {
	for i, t := range split {
		if t.Tag != tag {
			continue
		}
		if t.Revision == revision && !t.Latest {
			return split
		}
		split[i].Tag = ""
	}
	for i, t := range split {
		if t.Revision == revision && !t.Latest && t.Tag == "" {
			split[i].Tag = tag
			return drop(split)
		}
	}
	return append(drop(split), traffic.Target{Revision: revision, Tag: tag})
}
