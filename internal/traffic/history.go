package traffic

import (
	"encoding/json"
	"slices"
	"time"
)

// historyLength and historySize bound the annotation: twelve splits of three
// targets are about 2 kB, but each tag is a target too. All annotations of an
// object together may have 256 kB.
const (
	historyLength = 12
	historySize   = 16 << 10
)

// Past is a split that was replaced.
type Past struct {
	Until      time.Time // when it was replaced, UTC, whole seconds
	Generation int64     // of the service then; 0 is not known
	Split      Split
}

type wirePast struct {
	Until      time.Time    `json:"until"`
	Generation int64        `json:"generation,omitempty"`
	Split      []wireTarget `json:"split"`
}

type wireTarget struct {
	Revision string `json:"revision,omitempty"` // none: the latest
	Percent  int    `json:"percent"`
	Tag      string `json:"tag,omitempty"`
}

// Remember adds a split that is about to be replaced to the annotation's text
// and forgets the oldest beyond the bound. A text that cannot be read is
// started anew: history is a convenience and must never stop an edit.
func Remember(annotation string, old Split, now time.Time) string {
	return remember(annotation, Past{Until: now, Split: old})
}

func remember(annotation string, replaced Past) string {
	past, err := History(annotation)
	if err != nil {
		past = nil
	}
	replaced.Until = replaced.Until.UTC().Truncate(time.Second)
	past = append(past, replaced)
	text := encode(past)
	for len(past) > historyLength || len(text) > historySize {
		past = forget(past)
		text = encode(past)
	}
	return text
}

// forget drops the oldest split after which only tags were changed, or else the oldest:
// a dozen previews, each of which is a tag, must not drive out the splits that a
// rollback goes to.
func forget(past []Past) []Past {
	for i := range len(past) - 1 {
		if past[i].Split.SameShares(past[i+1].Split) {
			return slices.Delete(past, i, i+1)
		}
	}
	return past[1:]
}

func encode(past []Past) string {
	wire := make([]wirePast, len(past))
	for i, p := range past {
		wire[i].Until, wire[i].Generation = p.Until, p.Generation
		for _, t := range p.Split {
			w := wireTarget{Revision: t.Revision, Percent: t.Percent, Tag: t.Tag}
			if t.Latest {
				w.Revision = ""
			}
			wire[i].Split = append(wire[i].Split, w)
		}
	}
	// Strings, numbers and a time in this century cannot fail to marshal.
	raw, _ := json.Marshal(wire)
	return string(raw)
}

// History reads the annotation, the oldest split first.
func History(annotation string) ([]Past, error) {
	if annotation == "" {
		return nil, nil
	}
	var wire []wirePast
	if err := json.Unmarshal([]byte(annotation), &wire); err != nil {
		return nil, err
	}
	out := make([]Past, len(wire))
	for i, w := range wire {
		out[i].Until, out[i].Generation = w.Until, w.Generation
		for _, t := range w.Split {
			out[i].Split = append(out[i].Split, Target{Revision: t.Revision, Latest: t.Revision == "", Percent: t.Percent, Tag: t.Tag})
		}
	}
	return out, nil
}
