package traffic

import (
	"maps"
	"time"
)

// Change is what one write does to a service, as far as traffic goes: whatever
// changes a split or an annotation of ours does it by a Change.
type Change struct {
	Split       Split              // nil: it stays
	Annotations map[string]*string // by key; nil: removed. Others stay.
}

// Replace returns the change that replaces a service's split by next and adds
// the former one to its history.
func (s *Snapshot) Replace(next Split, now time.Time) Change {
	history := remember(s.Annotations[HistoryKey], Past{Until: now, Generation: s.Generation, Split: s.Spec.Normal()})
	return Change{Split: next, Annotations: map[string]*string{HistoryKey: &history}}
}

// Annotate returns c with one more annotation.
func (c Change) Annotate(key, value string) Change { return c.with(key, &value) }

// Remove returns c with one more annotation removed.
func (c Change) Remove(key string) Change { return c.with(key, nil) }

func (c Change) with(key string, value *string) Change {
	c.Annotations = maps.Clone(c.Annotations)
	if c.Annotations == nil {
		c.Annotations = make(map[string]*string, 1)
	}
	c.Annotations[key] = value
	return c
}

// And returns c with the annotations of another change.
func (c Change) And(other Change) Change {
	for key, value := range other.Annotations {
		c = c.with(key, value)
	}
	return c
}

// IsEmpty reports whether there is nothing to write.
func (c Change) IsEmpty() bool { return c.Split == nil && len(c.Annotations) == 0 }

// ApplyTo returns annotations as they are after the change; nil when none are
// left. The history is dropped when there is no space for it: it is a
// convenience and must never stop a write.
func (c Change) ApplyTo(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	for key, value := range c.Annotations {
		if value == nil {
			delete(out, key)
			continue
		}
		if out == nil {
			out = make(map[string]string, len(c.Annotations))
		}
		out[key] = *value
	}
	if !Fits(out) {
		delete(out, HistoryKey)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
