package traffic

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Move is a relative wish: so many percent of all requests go from one target to
// another. One of the two may be empty, and then the others give or take them, each
// in proportion to its share.
type Move struct {
	From, To string // references
	Percent  int    // 1 to 100
}

// IsAmount reports whether an argument is a number of percent: 10, +10, -10 or 10%.
func IsAmount(arg string) bool {
	_, err := strconv.Atoi(strings.TrimSuffix(arg, "%"))
	return err == nil
}

// ParseMove reads what "v2 +10", "v2 -10" and "v1 v2 10" say: one or two references
// and an amount.
func ParseMove(refs []string, amount string) (Move, error) {
	for _, ref := range refs {
		if ref == "" || strings.ContainsAny(ref, "=, \t\n") {
			return Move{}, usage("%q is not a target", ref).WithHint("e.g. v2 +10, or v1 v2 10")
		}
	}
	percent, signed, err := parseAmount(amount)
	if err != nil {
		return Move{}, err
	}
	switch {
	case len(refs) == 2 && refs[0] == refs[1]:
		return Move{}, usage("%s is named twice", refs[0]).WithHint("name two targets, e.g. v1 v2 10")
	case len(refs) == 2 && percent < 0:
		return Move{}, usage("%s: the amount that goes from %s to %s cannot be negative", amount, refs[0], refs[1]).
			WithHint("for the other direction: %s %s %d", refs[1], refs[0], -percent)
	case len(refs) == 2:
		return Move{From: refs[0], To: refs[1], Percent: percent}, nil
	case len(refs) != 1:
		return Move{}, usage("one or two targets and an amount are wanted").WithHint("e.g. v2 +10, or v1 v2 10")
	case !signed:
		return Move{}, usage("%s %s: more or less?", refs[0], amount).
			WithHint("%s +%d gives it that much more, %s -%d less; `kn-lite traffic split` sets a share", refs[0], percent, refs[0], percent)
	case percent < 0:
		return Move{From: refs[0], Percent: -percent}, nil
	}
	return Move{To: refs[0], Percent: percent}, nil
}

func parseAmount(text string) (percent int, signed bool, err error) {
	number := strings.TrimSpace(strings.TrimSuffix(text, "%"))
	percent, err = strconv.Atoi(number)
	switch {
	case err != nil && isFraction(number):
		return 0, false, usage("%s: percentages are whole numbers", text).WithHint("Knative splits traffic in steps of 1 %%")
	case err != nil:
		return 0, false, usage("%q is not a number of percent", text).WithHint("e.g. +10, -10 or 10")
	case percent == 0:
		return 0, false, usage("%s: nothing would move", text).WithHint("1 to 100 percent can be moved")
	case percent > 100 || percent < -100:
		return 0, false, usage("%s: more than all of the traffic", text).WithHint("1 to 100 percent can be moved")
	}
	return percent, number[0] == '+' || number[0] == '-', nil
}

// String is the move as it could be typed.
func (m Move) String() string {
	switch {
	case m.From == "":
		return m.To + " +" + strconv.Itoa(m.Percent)
	case m.To == "":
		return m.From + " -" + strconv.Itoa(m.Percent)
	}
	return m.From + " " + m.To + " " + strconv.Itoa(m.Percent)
}

// Inverse returns the move that takes this one back: exactly when it names both
// targets, else to within the percent that rounding costs.
func (m Move) Inverse() Move { return Move{From: m.To, To: m.From, Percent: m.Percent} }

// Move returns the split after a relative move. A reference means the revision that
// it leads to, with all lines that lead there now; @latest only those that follow
// the latest revision. What is not there cannot be moved: fault.Conflict.
func (k Known) Move(m Move) (Split, error) {
	next := k.Split.editable()
	if m.From == "" {
		to, err := k.find(m.To)
		if err != nil {
			return nil, err
		}
		return next.pull(k, to, m)
	}
	from, err := k.find(m.From)
	if err != nil {
		return nil, err
	}
	lines := next.lines(from, k.LatestReady)
	if has := next.sumOf(lines); has < m.Percent {
		return nil, tooLittle(k, m.From, from, has, m.Percent)
	}
	if m.To == "" {
		return next.push(k, from, lines, m)
	}
	to, err := k.find(m.To)
	if err != nil {
		return nil, err
	}
	if from == to || !from.Latest && !to.Latest && from.Revision == to.Revision {
		return nil, fault.New(fault.Usage, "traffic.resolve", "", "%s and %s are the same target, %s", m.From, m.To, to.label())
	}
	next.take(lines, m.Percent)
	return next.put(to, k.LatestReady, m.Percent).withoutIdle(), nil
}

// pull gives a target more, at the cost of all others.
func (s Split) pull(k Known, to Target, m Move) (Split, error) {
	others := s.without(s.lines(to, k.LatestReady))
	if have := s.sumOf(others); have < m.Percent {
		return nil, fault.New(fault.Conflict, "traffic.shift", "service/"+k.Service, "%s has %d %% of the traffic already, so there is no %d %% to give it", m.To, 100-have, m.Percent).
			WithHint("nothing was changed; its split is %s", k.Split)
	}
	s.scale(others, s.sumOf(others)-m.Percent)
	return s.put(to, k.LatestReady, m.Percent).withoutIdle(), nil
}

// push takes from a target, to the good of all others.
func (s Split) push(k Known, from Target, lines []int, m Move) (Split, error) {
	others := s.without(lines)
	sum := s.sumOf(others)
	if sum == 0 {
		return nil, fault.New(fault.Conflict, "traffic.shift", "service/"+k.Service, "%s has all of the traffic, so nobody is there to take %d %%", from.label(), m.Percent).
			WithHint("nothing was changed; say who gets it: kn-lite traffic shift -s %s %s TARGET %d", k.Service, m.From, m.Percent)
	}
	s.scale(others, sum+m.Percent)
	s.take(lines, m.Percent)
	return s.withoutIdle(), nil
}

func tooLittle(k Known, ref string, t Target, has, wanted int) error {
	return fault.New(fault.Conflict, "traffic.shift", "service/"+k.Service, "%s has %d %% of the traffic, so %d %% cannot be taken from it", cmp.Or(t.Tag, t.Name(), ref), has, wanted).
		WithHint("nothing was changed; its split is %s", k.Split)
}

// editable returns the split as a spec that can be changed in place.
func (s Split) editable() Split {
	next := s.Normal()
	for i := range next {
		next[i].URL = ""
		if next[i].Latest {
			next[i].Revision = ""
		}
	}
	return next
}

// lines returns the indexes of the lines that lead to a target, the one that a
// change goes to first: that of its tag, one with traffic, one by name, one without a tag.
func (s Split) lines(t Target, latest string) []int {
	rank := func(l Target) int {
		n := 0
		for bit, holds := range []bool{l.Tag == "", !l.Latest, l.Percent > 0, t.Tag != "" && l.Tag == t.Tag} {
			if holds {
				n |= 1 << bit
			}
		}
		return n
	}
	var out []int
	for i, l := range s {
		follows := t.Latest && t.Tag == ""
		if follows && l.Latest || !follows && l.Pin(latest) == t.Pin(latest) {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return rank(s[b]) - rank(s[a]) })
	return out
}

// without returns the indexes of the other lines.
func (s Split) without(lines []int) []int {
	var out []int
	for i := range s {
		if !slices.Contains(lines, i) {
			out = append(out, i)
		}
	}
	return out
}

func (s Split) sumOf(lines []int) int {
	sum := 0
	for _, i := range lines {
		sum += s[i].Percent
	}
	return sum
}

// take removes percent from lines that have as much.
func (s Split) take(lines []int, percent int) {
	for _, i := range lines {
		part := min(percent, s[i].Percent)
		s[i].Percent -= part
		percent -= part
	}
}

// put adds percent to a target. No share begins to follow the latest revision unless
// that is what was asked for.
func (s Split) put(t Target, latest string, percent int) Split {
	for _, i := range s.lines(t, latest) {
		if s[i].Percent > 0 || s[i].Latest == t.Latest {
			s[i].Percent += percent
			return s
		}
	}
	return append(s, Target{Revision: t.Revision, Latest: t.Latest, Percent: percent})
}

// scale gives some lines another sum, which they share as they do now. Whole percents
// are handed out by largest remainder: nobody is off by one or more.
func (s Split) scale(lines []int, sum int) {
	now := s.sumOf(lines)
	if now == 0 {
		return
	}
	left := sum
	remainder := make(map[int]int, len(lines))
	for _, i := range lines {
		remainder[i] = s[i].Percent * sum % now
		s[i].Percent = s[i].Percent * sum / now
		left -= s[i].Percent
	}
	order := slices.Clone(lines)
	slices.SortStableFunc(order, func(a, b int) int { return remainder[b] - remainder[a] })
	for _, i := range order[:min(left, len(order))] {
		s[i].Percent++
	}
}
