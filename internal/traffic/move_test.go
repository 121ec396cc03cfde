package traffic

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParseMove(t *testing.T) {
	for _, tt := range []struct {
		refs   []string
		amount string
		want   Move
		says   string
	}{
		{[]string{"v2"}, "+10", Move{To: "v2", Percent: 10}, ""},
		{[]string{"v2"}, "-10%", Move{From: "v2", Percent: 10}, ""},
		{[]string{"v1", "@latest"}, "10", Move{"v1", "@latest", 10}, ""},
		{[]string{"v1", "git:1a2b"}, "+100", Move{"v1", "git:1a2b", 100}, ""},
		{[]string{"v2"}, "10", Move{}, "more or less?"},
		{[]string{"v1", "v2"}, "-10", Move{}, "cannot be negative"},
		{[]string{"v1", "v1"}, "10", Move{}, "named twice"},
		{[]string{"v2"}, "+0", Move{}, "nothing would move"},
		{[]string{"v2"}, "+101", Move{}, "more than all"},
		{[]string{"v2"}, "+2.5", Move{}, "whole numbers"},
		{[]string{"v2"}, "some", Move{}, "not a number"},
		{[]string{"v2=5"}, "+1", Move{}, "not a target"},
		{[]string{"a", "b", "c"}, "1", Move{}, "one or two targets"},
		{nil, "+1", Move{}, "one or two targets"},
	} {
		got, err := ParseMove(tt.refs, tt.amount)
		if tt.says != "" {
			checkFault(t, tt.amount, err, fault.Usage, tt.says, "")
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%v %s: %+v, %v", tt.refs, tt.amount, got, err)
		}
	}
}

func TestMove(t *testing.T) {
	for _, tt := range []struct {
		move    Move
		current Split
		next    string
		kind    fault.Kind
		says    string
	}{
		{move: Move{To: "v2", Percent: 10}, current: Split{{Revision: "hello-v1", Percent: 100}}, next: "hello-v1=90 hello-v2=10"},
		{move: Move{From: "v2", Percent: 10}, current: Split{{Revision: "hello-v1", Percent: 90}, {Revision: "hello-v2", Percent: 10}}, next: "hello-v1=100"},
		{move: Move{"v1", "v2", 30}, current: Split{{Revision: "hello-v1", Percent: 60}, {Revision: "hello-v3", Percent: 40}}, next: "hello-v1=30 hello-v3=40 hello-v2=30"},
		// The others give and take in proportion.
		{move: Move{To: "v3", Percent: 10}, current: Split{{Revision: "hello-v1", Percent: 60}, {Revision: "hello-v2", Percent: 30}, {Revision: "hello-v3", Percent: 10}}, next: "hello-v1=53 hello-v2=27 hello-v3=20"},
		// A tag without a share stays, and one with a share is a line like others.
		{move: Move{"v1", "v2", 100}, current: Split{{Revision: "hello-v1", Percent: 100, Tag: "blue"}}, next: "hello-v1(blue)=0 hello-v2=100"},
		{move: Move{"blue", "v2", 10}, current: Split{{Revision: "hello-v1", Percent: 70}, {Revision: "hello-v2", Percent: 30}, {Revision: "hello-v1", Tag: "blue"}}, next: "hello-v1=60 hello-v2=40 hello-v1(blue)=0"},
		{move: Move{To: "blue", Percent: 10}, current: Split{{Revision: "hello-v2", Percent: 100}, {Revision: "hello-v1", Tag: "blue"}}, next: "hello-v2=90 hello-v1(blue)=10"},
		// A name means the revision, also where it is the latest one; but nothing begins to follow.
		{move: Move{"v3", "v1", 10}, current: Split{{Latest: true, Percent: 100}}, next: "@latest=90 hello-v1=10"},
		{move: Move{"v1", "v3", 10}, current: Split{{Latest: true, Percent: 50}, {Revision: "hello-v1", Percent: 50}}, next: "@latest=60 hello-v1=40"},
		{move: Move{"v1", "v3", 10}, current: Split{{Revision: "hello-v1", Percent: 100}, {Latest: true, Tag: "next"}}, next: "hello-v1=90 @latest(next)=0 hello-v3=10"},
		{move: Move{"v1", "next", 10}, current: Split{{Revision: "hello-v1", Percent: 100}, {Latest: true, Tag: "next"}}, next: "hello-v1=90 @latest(next)=10"},
		{move: Move{"v1", Latest, 10}, current: Split{{Revision: "hello-v1", Percent: 90}, {Revision: "hello-v3", Percent: 10}}, next: "hello-v1=80 hello-v3=10 @latest=10"},
		{move: Move{"v3", Latest, 10}, current: Split{{Revision: "hello-v3", Percent: 100}}, next: "hello-v3=90 @latest=10"},
		{move: Move{"v3", "v1", 30}, current: Split{{Revision: "hello-v3", Percent: 20}, {Latest: true, Percent: 80}}, next: "@latest=70 hello-v1=30"},
		{move: Move{"v1", "v2", 10}, current: nil, kind: fault.Conflict, says: "hello-v1 has 0 % of the traffic, so 10 % cannot be taken"},
		{move: Move{"v1", "v2", 10}, current: Split{{Revision: "hello-v1", Percent: 9}, {Latest: true, Percent: 91}}, kind: fault.Conflict, says: "hello-v1 has 9 %"},
		{move: Move{From: "v1", Percent: 10}, current: Split{{Revision: "hello-v1", Percent: 100}, {Revision: "hello-v2", Tag: "blue"}}, kind: fault.Conflict, says: "nobody is there to take 10 %"},
		{move: Move{To: "v1", Percent: 10}, current: Split{{Revision: "hello-v1", Percent: 95}, {Latest: true, Percent: 5}}, kind: fault.Conflict, says: "v1 has 95 % of the traffic already"},
		{move: Move{"v1", "hello-v1", 10}, current: Split{{Revision: "hello-v1", Percent: 100}}, kind: fault.Usage, says: "are the same target"},
		{move: Move{"v1", "v9", 10}, current: Split{{Revision: "hello-v1", Percent: 100}}, kind: fault.NotFound, says: `"v9"`},
	} {
		known := hello()
		known.Split = tt.current.Normal()
		got, err := known.Move(tt.move)
		if tt.says != "" {
			checkFault(t, tt.move.String(), err, tt.kind, tt.says, "")
			continue
		}
		if err != nil || got.String() != tt.next {
			t.Errorf("%s of %s: %s, %v; want %s", tt.move, tt.current, got, err, tt.next)
		}
	}
}

func allReady() Known {
	known := Known{Service: "s", LatestReady: "s-v5"}
	for i, name := range names {
		known.Revisions = append(known.Revisions, Revision{Name: name, Generation: int64(i + 1), State: Ready})
	}
	return known
}

func drawMove(t *rapid.T) Move {
	refs := rapid.Permutation(slices.Clone(names)).Draw(t, "targets")
	m := Move{From: refs[0], To: refs[1], Percent: rapid.IntRange(1, 100).Draw(t, "percent")}
	switch rapid.IntRange(0, 2).Draw(t, "kind of move") {
	case 0:
		m.From = ""
	case 1:
		m.To = ""
	}
	return m
}

// Whatever the split: a move leaves a sum of 100 and every tag, moves exactly what it
// says, does not change what it was worked out from, and is taken back by its inverse.
func TestMoveKeepsItsPromises(t *testing.T) {
	moved := 0
	rapid.Check(t, func(t *rapid.T) {
		known, m := allReady(), drawMove(t)
		known.Split = drawSplit(t).Normal().Merge().withoutIdle()
		before := slices.Clone(known.Split)
		next, err := known.Move(m)
		if diff := cmp.Diff(before, known.Split); diff != "" {
			t.Fatalf("the current split was changed: %s", diff)
		}
		from, to := before.Percent(m.From, "s-v5"), before.Percent(m.To, "s-v5")
		if err != nil {
			if fault.KindOf(err) != fault.Conflict || m.From != "" && from >= m.Percent && (m.To != "" || from < 100) || m.From == "" && 100-to >= m.Percent {
				t.Fatalf("%s of %s: %v", m, before, err)
			}
			return
		}
		moved++
		if next.Sum() != 100 {
			t.Fatalf("%s of %s is %s", m, before, next)
		}
		if diff := cmp.Diff(tagsOf(before), tagsOf(next)); diff != "" {
			t.Fatalf("tags of %s: %s", next, diff)
		}
		if m.From != "" && next.Percent(m.From, "s-v5") != from-m.Percent || m.To != "" && next.Percent(m.To, "s-v5") != to+m.Percent {
			t.Fatalf("%s of %s is %s", m, before, next)
		}
		known.Split = next
		back, err := known.Move(m.Inverse())
		if err != nil {
			// The others have nothing left to take it back by.
			if m.From == "" && next.Percent(m.To, "s-v5") == 100 {
				return
			}
			t.Fatalf("%s is not taken back: %v", m, err)
		}
		for _, name := range names {
			off := back.Percent(name, "s-v5") - before.Percent(name, "s-v5")
			if m.From != "" && m.To != "" && off != 0 || m.Percent <= 50 && (off > 1+roundingOf(m) || off < -1-roundingOf(m)) {
				t.Fatalf("%s of %s is %s, and back %s", m, before, next, back)
			}
		}
	})
	if moved == 0 {
		t.Error("no move was possible")
	}
}

// roundingOf bounds what two roundings cost a revision: the fewer percent are left to
// share, the more one of them means.
func roundingOf(m Move) int { return 100 / max(1, 100-m.Percent) * 4 }

// Two moves between two targets lead to the same split in either order.
func TestMovesCommute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawMove(t), drawMove(t)
		if a.From == "" || a.To == "" || b.From == "" || b.To == "" {
			return
		}
		known := allReady()
		known.Split = drawSplit(t).Normal().Merge().withoutIdle()
		run := func(moves ...Move) (Split, error) {
			k := known
			for _, m := range moves {
				next, err := k.Move(m)
				if err != nil {
					return nil, err
				}
				k.Split = next
			}
			return k.Split.ByRevision("s-v5").withoutIdle(), nil
		}
		one, err := run(a, b)
		if err != nil {
			return
		}
		if two, err := run(b, a); err == nil && !one.Equal(two) {
			t.Fatalf("%s, %s of %s: %s; the other way round %s", a, b, known.Split, one, two)
		}
	})
}

// 32 writers move one percent 25 times each, all at once: none is lost, nobody sees a
// conflict, and every state that is written sums to 100.
func TestNoMoveIsLost(t *testing.T) {
	s := newServer(Split{{Revision: "hello-v1", Percent: 50}, {Revision: "hello-v2", Percent: 50}})
	s.before = func(now *Snapshot) {
		if now.Spec.Sum() != 100 {
			t.Errorf("%s sums to %d", now.Spec, now.Spec.Sum())
		}
	}
	var all sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		m := Move{"v1", "v2", 1}
		if i < 15 {
			m = Move{"v2", "v1", 1}
		}
		all.Go(func() {
			for range 25 {
				// There may be nothing to take for a moment: that is no conflict of writers.
				for {
					_, err := Request{Move: &m}.Do(context.Background(), s, "hello", Options{Now: clock})
					if fault.KindOf(err) == fault.Conflict && !isMoved(err) {
						continue
					}
					errs[i] = errors.Join(errs[i], err)
					break
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	// 17 writers move 25 percent one way, 15 the other.
	if got := s.snap.Spec.Percent("hello-v1", ""); got != 0 || s.writes != 800 {
		t.Errorf("%s after %d writes", s.snap.Spec, s.writes)
	}
}

func isMoved(err error) bool {
	_, ok := errors.AsType[*MovedError](err)
	return ok
}

// A move, or a tag that nobody else has touched, is worked out anew on a split that
// others have changed; an absolute edit and an undo are not.
func TestRebase(t *testing.T) {
	for _, tt := range []struct {
		name  string
		want  Request
		other Split
		next  string
	}{
		{"move", Request{Move: &Move{To: "v1", Percent: 10}}, Split{{Revision: "hello-v2", Percent: 100}}, "hello-v2=90 hello-v1=10"},
		{"tag", Request{Tag: []Tagging{{"v2", "green"}}}, Split{{Revision: "hello-v1", Percent: 100}}, "hello-v1=100 hello-v2(green)=0"},
		{"tag that was moved", Request{Tag: []Tagging{{"v2", "green"}}}, Split{{Revision: "hello-v1", Percent: 100, Tag: "green"}}, ""},
		{"untag", Request{Untag: []string{"blue"}}, Split{{Revision: "hello-v1", Percent: 100}, {Revision: "hello-v2", Tag: "blue"}}, "hello-v1=100"},
		{"untag that is gone", Request{Untag: []string{"blue"}}, Split{{Revision: "hello-v1", Percent: 100}}, ""},
		{"edit", Request{Edit: Edit{{"v1", 100}}}, Split{{Revision: "hello-v2", Percent: 100}}, ""},
		{"edit and tag", Request{Edit: Edit{{"v1", 100}}, Tag: []Tagging{{"v2", "green"}}}, Split{{Revision: "hello-v2", Percent: 100}}, ""},
		{"undo", Request{Undo: &Undo{}}, Split{{Revision: "hello-v2", Percent: 100}}, ""},
	} {
		s := newServer(Split{{Latest: true, Percent: 100}, {Revision: "hello-v2", Tag: "blue"}})
		s.snap.Annotations = map[string]string{HistoryKey: Remember("", Split{{Revision: "hello-v1", Percent: 100}}, clock)}
		touched := false
		s.before = func(now *Snapshot) {
			if !touched {
				now.Spec, touched = tt.other, true
				bump(now)
			}
		}
		result, err := tt.want.Do(t.Context(), s, "hello", Options{Now: clock})
		switch {
		case tt.next == "":
			if fault.KindOf(err) != fault.Conflict || !isMoved(err) || s.writes != 0 {
				t.Errorf("%s: %v, %d writes", tt.name, err, s.writes)
			}
		case err != nil || result.After.Spec.String() != tt.next || s.writes != 1:
			t.Errorf("%s: %+v, %v, %d writes", tt.name, result.After, err, s.writes)
		}
		if !touched {
			t.Errorf("%s: nobody else has written", tt.name)
		}
	}
}
