package traffic

import (
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Undo asks for a former split. The zero value is the one before the present.
type Undo struct {
	Steps int   // how many changes to go back; 0: one
	To    int64 // when not 0: to the split that was replaced at this generation
}

// Past returns the service's former splits, the oldest first.
func (s *Snapshot) Past() ([]Past, error) {
	past, err := History(s.Annotations[HistoryKey])
	if err != nil {
		return nil, fault.New(fault.Failure, "traffic.history", "service/"+s.Name, "the annotation %s cannot be read: %w", HistoryKey, err).
			WithHint("the next change of the split begins it anew")
	}
	return past, nil
}

// find returns the split that an undo asks for.
func (u Undo) find(snap *Snapshot) (Split, error) {
	past, err := snap.Past()
	if err != nil {
		return nil, err
	}
	subject := "service/" + snap.Name
	if len(past) == 0 {
		return nil, fault.New(fault.NotFound, "traffic.undo", subject, "no former split of it is known").
			WithHint("the history begins with the first change of the split by kn-lite")
	}
	if u.To == 0 {
		steps := max(u.Steps, 1)
		if steps > len(past) {
			return nil, fault.New(fault.NotFound, "traffic.undo", subject, "its history goes back %d steps, not %d", len(past), steps).
				WithHint("see `kn-lite traffic history %s`", snap.Name)
		}
		return past[len(past)-steps].Split, nil
	}
	var known []string
	for i := len(past) - 1; i >= 0; i-- { // the latest, if two say the same
		if past[i].Generation == u.To {
			return past[i].Split, nil
		}
		if past[i].Generation != 0 {
			known = append(known, strconv.FormatInt(past[i].Generation, 10))
		}
	}
	hint := "see `kn-lite traffic history " + snap.Name + "`"
	if len(known) > 0 {
		hint = "it knows those of the generations " + strings.Join(known, ", ")
	}
	return nil, fault.New(fault.NotFound, "traffic.undo", subject, "its history has no split of generation %d", u.To).WithHint("%s", hint)
}
