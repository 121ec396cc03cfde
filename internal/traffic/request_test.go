package traffic

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParseTags(t *testing.T) {
	got, err := ParseTags([]string{"v2=next,@latest=edge", "git:1a2b=sha"})
	if diff := cmp.Diff([]Tagging{{"v2", "next"}, {"@latest", "edge"}, {"git:1a2b", "sha"}}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for text, says := range map[string]string{"v2": "not TARGET=TAG", "=a": "not TARGET=TAG", "v2=": "not TARGET=TAG", "v1=a,v2=a": "given twice", "": "not TARGET=TAG"} {
		_, err := ParseTags([]string{text})
		checkFault(t, text, err, fault.Usage, says, "")
	}
}

func TestRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		want Request
		next string
		kind fault.Kind
		says string
	}{
		{name: "tag", want: Request{Tag: []Tagging{{"v2", "green"}}}, next: "hello-v1=70 @latest=30 hello-v1(blue)=0 @latest(next)=0 hello-v2(green)=0"},
		{name: "tag moves", want: Request{Tag: []Tagging{{"v2", "blue"}}}, next: "hello-v1=70 @latest=30 @latest(next)=0 hello-v2(blue)=0"},
		{name: "two tags, one of the latest", want: Request{Tag: []Tagging{{"@latest", "a"}, {"blue", "b"}}}, next: "hello-v1(b)=70 @latest(a)=30 hello-v1(blue)=0 @latest(next)=0"},
		{name: "tag that is there", want: Request{Tag: []Tagging{{"v1", "blue"}}}, next: "hello-v1=70 @latest=30 hello-v1(blue)=0 @latest(next)=0"},
		{name: "tag of a broken one", want: Request{Tag: []Tagging{{"v4", "bad"}}}, kind: fault.Conflict, says: "is not ready"},
		{name: "tag of nobody", want: Request{Tag: []Tagging{{"v9", "bad"}}}, kind: fault.NotFound, says: "v9"},
		{name: "in kn's order", want: Request{Untag: []string{"blue"}, Tag: []Tagging{{"v2", "blue"}}, Edit: Edit{{"blue", 10}, {"v1", 90}}}, next: "hello-v1=90 @latest(next)=0 hello-v2(blue)=10"},
		{name: "the others keep their proportions", want: Request{Edit: Edit{{"v2", 50}}, Rescale: true}, next: "hello-v1=35 @latest=15 hello-v1(blue)=0 @latest(next)=0 hello-v2=50"},
		{name: "all of it", want: Request{Edit: Edit{{"v2", 100}}, Rescale: true}, next: "hello-v1(blue)=0 @latest(next)=0 hello-v2=100"},
		{name: "nobody left to take the rest", want: Request{Edit: Edit{{"v1", 50}, {"@latest", 40}}, Rescale: true}, kind: fault.Conflict, says: "sum to 90"},
		{name: "the same target twice", want: Request{Edit: Edit{{"v1", 50}, {"hello-v1", 40}}, Rescale: true}, kind: fault.Usage, says: "the same target"},
		{name: "nothing to undo", want: Request{Undo: &Undo{}}, kind: fault.NotFound, says: "no former split"},
	} {
		s := newServer(hello().Split)
		result, err := tt.want.Do(t.Context(), s, "hello", Options{Now: clock})
		if tt.says != "" {
			checkFault(t, tt.name, err, tt.kind, tt.says, "")
			if s.writes != 0 {
				t.Errorf("%s: %d writes", tt.name, s.writes)
			}
			continue
		}
		if err != nil || result.Next.String() != tt.next {
			t.Errorf("%s: %s, %v; want %s", tt.name, result.Next, err, tt.next)
		}
	}
}

func TestUndo(t *testing.T) {
	s := newServer(Split{{Latest: true, Percent: 100}, {Revision: "hello-v2", Tag: "blue"}})
	do := func(want Request) error {
		_, err := want.Do(t.Context(), s, "hello", Options{Now: clock})
		return err
	}
	for _, want := range []Request{
		{Edit: Edit{{"v1", 50}, {"v2", 50}}}, // at generation 1
		{Move: &Move{To: "v1", Percent: 10}}, // at 2
		{Untag: []string{"blue"}},            // at 3
	} {
		if err := do(want); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		undo Undo
		want string
	}{
		{Undo{}, "hello-v2(blue)=40 hello-v1=60"},
		{Undo{}, "hello-v2=40 hello-v1=60"}, // the undo is undone
		{Undo{Steps: 4}, "hello-v2(blue)=50 hello-v1=50"},
		{Undo{To: 1}, "@latest=100 hello-v2(blue)=0"},
		{Undo{To: 3}, "hello-v2(blue)=40 hello-v1=60"},
	} {
		if err := do(Request{Undo: &step.undo}); err != nil || s.snap.Spec.String() != step.want {
			t.Fatalf("%+v: %s, %v; want %s", step.undo, s.snap.Spec, err, step.want)
		}
	}
	checkFault(t, "too far", do(Request{Undo: &Undo{Steps: 9}}), fault.NotFound, "goes back 8 steps, not 9", "traffic history hello")
	checkFault(t, "unknown generation", do(Request{Undo: &Undo{To: 99}}), fault.NotFound, "no split of generation 99", "8, 7, 6, 5, 4, 3, 2, 1")

	// A revision that is gone cannot come back.
	s.revs = slices.DeleteFunc(slices.Clone(s.revs), func(r Revision) bool { return r.Name == "hello-v2" })
	if err := do(Request{Edit: Edit{{"v1", 100}}, Untag: []string{"blue"}}); err != nil {
		t.Fatal(err)
	}
	checkFault(t, "gone", do(Request{Undo: &Undo{}}), fault.Conflict, "revision/hello-v2: is gone", "traffic history hello")

	s.snap.Annotations = map[string]string{HistoryKey: "{"}
	checkFault(t, "unreadable", do(Request{Undo: &Undo{}}), fault.Failure, "cannot be read", "")
}

// modelled is a service as a person keeps book of it: who gets how much, which tag
// leads where, and what there was before.
type modelled struct {
	share map[string]int
	tag   map[string]string
	past  []Split
}

func (m *modelled) split(shares map[string]int) { m.share = shares }

// move reports whether there was enough to move.
func (m *modelled) move(from, to string, n int) bool {
	if m.share[from] < n {
		return false
	}
	m.share = maps.Clone(m.share)
	m.share[from] -= n
	m.share[to] += n
	return true
}

// look replaces what the model says by what the split says: after an undo, or when
// somebody else has written it.
func (m *modelled) look(s Split) {
	m.share, m.tag = map[string]int{}, map[string]string{}
	for _, t := range s {
		name := t.Pin("hello-v3")
		m.share[name] += t.Percent
		if t.Tag != "" {
			m.tag[t.Tag] = name
		}
	}
}

// back returns the split of so many steps ago that the history holds.
func (m *modelled) back(steps int) (Split, bool) {
	past := kept(m.past)
	if steps > len(past) {
		return nil, false
	}
	return past[len(past)-steps], true
}

func (m *modelled) differs(s Split) string {
	var now modelled
	now.look(s)
	for _, name := range []string{"hello-v1", "hello-v2", "hello-v3"} {
		if now.share[name] != m.share[name] {
			return fmt.Sprintf("%s has %d, and %d in the model", name, now.share[name], m.share[name])
		}
	}
	if s.Sum() != 100 {
		return "the sum is not 100"
	}
	return cmp.Diff(m.tag, now.tag)
}

// Any sequence of edits, moves, tags, undos, deploys and writes of others leads where
// the model says: 2,000 sequences.
func TestChangesAgainstTheModel(t *testing.T) {
	steps := map[string]int{}
	for i := range 20 { // rapid runs each a hundred times
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { modelRun(t, steps) })
		})
	}
	for _, kind := range []string{"split", "move", "refused", "pull", "tag", "untag", "undo", "deploy", "foreign"} {
		if steps[kind] < 500 {
			t.Errorf("only %d of %s were tried: %v", steps[kind], kind, steps)
		}
	}
}

func modelRun(t *rapid.T, steps map[string]int) {
	s := newServer(Split{{Latest: true, Percent: 100}})
	var m modelled
	m.look(s.snap.Spec)
	revisions := []string{"hello-v1", "hello-v2", "hello-v3"}
	one := func(label string, from []string) string { return rapid.SampledFrom(from).Draw(t, label) }
	do := func(want Request) error {
		before := s.snap.Spec
		result, err := want.Do(t.Context(), s, "hello", Options{Now: clock})
		if err == nil && result.After != nil {
			m.past = append(m.past, before)
		}
		return err
	}
	check := func(kind string, err error) {
		steps[kind]++
		if why := m.differs(s.snap.Spec); err != nil || why != "" {
			t.Fatalf("%s: %v; %s: %s", kind, err, s.snap.Spec, why)
		}
	}
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		switch rapid.IntRange(0, 7).Draw(t, "step") {
		case 0:
			part := shares(t, 3)
			m.split(map[string]int{"hello-v1": part[0], "hello-v2": part[1], "hello-v3": part[2]})
			last := one("last", []string{Latest, "v3"})
			check("split", do(Request{Edit: Edit{{"v1", part[0]}, {"v2", part[1]}, {last, part[2]}}}))
		case 1:
			pair := rapid.Permutation(slices.Clone(revisions)).Draw(t, "pair")
			move := Move{pair[0], pair[1], rapid.IntRange(1, 60).Draw(t, "percent")}
			possible := m.move(move.From, move.To, move.Percent)
			if err := do(Request{Move: &move}); possible {
				check("move", err)
			} else if check("refused", nil); fault.KindOf(err) != fault.Conflict {
				t.Fatalf("%s of %s: %v", move, s.snap.Spec, err)
			}
		case 2:
			move := Move{To: one("to", revisions), Percent: rapid.IntRange(1, 60).Draw(t, "percent")}
			want := m.share[move.To] + move.Percent
			if err := do(Request{Move: &move}); want > 100 {
				check("refused", nil)
			} else {
				m.look(s.snap.Spec) // who gave how much is checked elsewhere
				if check("pull", err); m.share[move.To] != want {
					t.Fatalf("%s gives %d, not %d", move, m.share[move.To], want)
				}
			}
		case 3:
			tag, to := one("tag", []string{"a", "b"}), one("to", revisions)
			m.tag[tag] = to
			check("tag", do(Request{Tag: []Tagging{{to, tag}}}))
		case 4:
			tag := one("tag", []string{"a", "b"})
			_, there := m.tag[tag]
			delete(m.tag, tag)
			if err := do(Request{Untag: []string{tag}}); there {
				check("untag", err)
			} else if fault.KindOf(err) != fault.NotFound {
				t.Fatalf("untag %s: %v", tag, err)
			}
		case 5:
			n := rapid.IntRange(1, 14).Draw(t, "back")
			want, known := m.back(n)
			if err := do(Request{Undo: &Undo{Steps: n}}); !known {
				if fault.KindOf(err) != fault.NotFound {
					t.Fatalf("%d steps back: %v", n, err)
				}
			} else if m.look(want); !s.snap.Spec.Equal(want) {
				t.Fatalf("%d steps back is %s, %v; want %s", n, s.snap.Spec, err, want)
			} else {
				check("undo", err)
			}
		case 6: // as a deploy or a step of a rollout does it
			to, share := one("to", revisions), rapid.IntRange(1, 100).Draw(t, "share")
			snap := s.snap
			next := snap.Spec.Unfollow(snap.LatestReady).Shift(to, Shift{Partial: true, Share: share}, "")
			if change := snap.Replace(next, clock); !next.Equal(snap.Spec) {
				m.past = append(m.past, snap.Spec)
				_, err := s.Update(t.Context(), &snap, change)
				m.look(next)
				check("deploy", err)
			}
		case 7: // another tool writes, which the history does not know
			part := shares(t, 2)
			s.snap.Spec = Split{{Revision: "hello-v1", Percent: part[0]}, {Revision: "hello-v2", Percent: part[1], Tag: "b"}}
			bump(&s.snap)
			m.look(s.snap.Spec)
			check("foreign", nil)
		}
	}
}
