package traffic

import (
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Tagging gives a tag to the target that a reference leads to.
type Tagging struct{ Ref, Tag string }

// ParseTags reads arguments such as "v2=next" or "v1=old,@latest=next".
func ParseTags(args []string) ([]Tagging, error) {
	var out []Tagging
	for _, arg := range strings.Split(strings.Join(args, ","), ",") {
		arg = strings.TrimSpace(arg)
		at := strings.LastIndex(arg, "=")
		if at < 1 || at == len(arg)-1 || strings.ContainsAny(arg[:at], "= \t\n") {
			return nil, usage("%q is not TARGET=TAG", arg).WithHint("e.g. v2=next")
		}
		tagging := Tagging{Ref: arg[:at], Tag: arg[at+1:]}
		if slices.ContainsFunc(out, func(other Tagging) bool { return other.Tag == tagging.Tag }) {
			return nil, usage("the tag %s is given twice", tagging.Tag).WithHint("a tag leads to one revision")
		}
		out = append(out, tagging)
	}
	return out, nil
}

// AddTags returns the split with some tags more. One that leads elsewhere now moves,
// and the line that had it keeps its share. A revision may have several.
func (k Known) AddTags(tags []Tagging) (Split, error) {
	next := k.Split.editable()
	for _, tagging := range tags {
		target, err := k.find(tagging.Ref)
		if err != nil {
			return nil, err
		}
		next = next.retag(target, tagging.Tag)
	}
	return next, nil
}

// RemoveTags gives the split without some tags: a line that had traffic keeps
// it under its revision's name.
func RemoveTags(current Split, tags []string) (Split, error) {
	next := current.editable()
	for _, tag := range tags {
		i := next.Tagged(tag)
		if i < 0 {
			known := Known{Split: current}
			err := fault.New(fault.NotFound, "traffic.untag", "", "there is no tag %q", tag)
			return nil, err.WithHint("%s", known.tagList())
		}
		next[i].Tag = ""
	}
	return next.Merge().withoutIdle(), nil
}
