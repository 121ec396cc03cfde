package traffic

import "slices"

// Shift says what share a revision gets that has become ready. The zero value
// is all of it.
type Shift struct {
	Keep    bool // leave the split as it is: the revision gets nothing
	Share   int  // 1 to 100, when Partial
	Partial bool // the others share the rest in their present proportions
	Follow  bool // all of it, and all of the revisions that come later, whoever makes them
}

// Shift returns the split after a revision has got its share, and the tag, if
// one is asked for. Lines with a tag stay, at whatever is left for them.
func (s Split) Shift(revision string, want Shift, tag string) Split {
	next := slices.Clone(s)
	for i := range next {
		next[i].URL = ""
	}
	switch {
	case want.Keep:
	case want.Partial:
		next = next.share(revision, want.Share)
	default:
		next = next.share(revision, 100)
		if want.Follow {
			next = next.follow(revision)
		}
	}
	if tag != "" {
		next = next.retag(Target{Revision: revision}, tag)
	}
	return next
}

// Follows reports whether new revisions get traffic by themselves.
func (s Split) Follows() bool {
	return slices.ContainsFunc(s, func(t Target) bool { return t.Latest && t.Percent > 0 })
}

// Unfollow gives the shares that follow the latest revision to one by name. A
// tag on the latest revision stays one.
func (s Split) Unfollow(revision string) Split {
	var out Split
	for _, t := range s {
		if !t.Latest {
			out = append(out, t)
			continue
		}
		if t.Percent > 0 {
			out = out.give(Target{Revision: revision}, t.Percent)
		}
		if t.Tag != "" {
			t.Percent = 0
			out = append(out, t)
		}
	}
	return out
}

// Pinned returns the split as it serves now, by name: a new revision that
// becomes ready gets nothing of it. A tag on the latest revision stays one,
// since its owner wants it to move. The name is what "the latest revision"
// means now, "" when it is none or, in a gradual rollout, several.
func (s *Snapshot) Pinned() (Split, string) {
	var out Split
	names := make(map[string]bool)
	for _, t := range s.Spec.Normal() {
		if !t.Latest {
			out = append(out, t)
			continue
		}
		for _, followed := range s.followed(t) {
			if followed.Revision == "" {
				out = append(out, followed) // no revision has ever been ready
				continue
			}
			names[followed.Revision] = true
			out = out.give(Target{Revision: followed.Revision}, followed.Percent)
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
func (s *Snapshot) followed(target Target) Split {
	if target.Percent == 0 {
		return nil
	}
	var lines Split
	for _, t := range s.Observed {
		if t.Latest && t.Tag == target.Tag && t.Revision != "" && t.Percent > 0 {
			lines = append(lines, Target{Revision: t.Revision, Percent: t.Percent})
		}
	}
	if lines.Sum() == target.Percent {
		return lines
	}
	// The route has not taken up this share yet: all of it goes to whichever has most.
	most := Target{Revision: s.LatestReady}
	for _, t := range lines {
		if t.Percent > most.Percent {
			most = t
		}
	}
	most.Percent = target.Percent
	most.Latest = most.Revision == ""
	return Split{most}
}

// Named returns the spec with the revision that the latest one is.
func (s *Snapshot) Named() Split {
	split := s.Spec.Normal()
	for i, t := range split {
		if t.Latest {
			split[i].Revision = s.LatestReady
		}
	}
	return split
}

// ByRevision returns the share of each revision, whatever the tags.
func (s Split) ByRevision(latest string) Split {
	out := s.Pin(latest)
	for i := range out {
		out[i].Tag, out[i].URL = "", ""
	}
	return out.Merge()
}

// share gives revision percent of the traffic, on the line that has some of it
// already, and the rest to the others in their present proportions.
func (s Split) share(revision string, percent int) Split {
	var own, others []int
	for i, t := range s {
		if !t.Latest && t.Revision == revision {
			own = append(own, i)
		} else {
			others = append(others, i)
		}
	}
	if s.sumOf(others) == 0 {
		percent = 100 // nobody is there to take the rest
	}
	tag := ""
	if i := line(s, Target{Revision: revision}); i >= 0 && s[i].Percent > 0 {
		tag = s[i].Tag
	}
	for _, i := range own {
		s[i].Percent = 0
	}
	s.scale(others, 100-percent)
	s = slices.DeleteFunc(s, func(t Target) bool { return t.idle() && t.Revision != revision })
	return s.give(Target{Revision: revision, Tag: tag}, percent).withoutIdle()
}

// follow turns the untagged share of a revision into one of the latest.
func (s Split) follow(revision string) Split {
	for i, t := range s {
		if t.Revision == revision && !t.Latest && t.Tag == "" && t.Percent > 0 {
			s[i].Revision, s[i].Latest = "", true
		}
	}
	return s
}

// give adds percent to the line for the same place as target, or adds a line.
func (s Split) give(target Target, percent int) Split {
	if i := slices.IndexFunc(s, target.Same); i >= 0 {
		s[i].Percent += percent
		return s
	}
	target.Percent = percent
	return append(s, target)
}

// retag moves a tag: the line that had it keeps its share without a name.
func (s Split) retag(to Target, tag string) Split {
	to = Target{Revision: to.Revision, Latest: to.Latest}
	if i := s.Tagged(tag); i >= 0 {
		if s[i].Same(Target{Revision: to.Revision, Latest: to.Latest, Tag: tag}) {
			return s
		}
		s[i].Tag = ""
		s = s.Merge()
	}
	if i := slices.IndexFunc(s, to.Same); i >= 0 {
		s[i].Tag = tag
		return s.withoutIdle()
	}
	to.Tag = tag
	return append(s.withoutIdle(), to)
}

// idle reports whether a line says nothing: no traffic, no tag.
func (t Target) idle() bool { return t.Percent == 0 && t.Tag == "" }

// withoutIdle removes the lines that say nothing.
func (s Split) withoutIdle() Split { return slices.DeleteFunc(s, Target.idle) }
