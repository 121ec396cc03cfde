package traffic

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestShift(t *testing.T) {
	one := func(name string, percent int) Target { return Target{Revision: name, Percent: percent} }
	tagged := func(name, tag string, percent int) Target {
		return Target{Revision: name, Tag: tag, Percent: percent}
	}
	for _, tt := range []struct {
		name    string
		current Split
		want    Shift
		tag     string
		next    string
	}{
		{"first", nil, Shift{}, "", "n=100"},
		{"first, and no traffic asked for", nil, Shift{Partial: true, Share: 5}, "", "n=100"},
		{"all from one", Split{one("a", 100)}, Shift{}, "", "n=100"},
		{"all from two", Split{one("a", 30), one("b", 70)}, Shift{}, "", "n=100"},
		{"all, and what comes later", Split{one("a", 100)}, Shift{Follow: true}, "", "@latest=100"},
		{"a tag stays", Split{tagged("a", "stable", 100)}, Shift{}, "", "a(stable)=0 n=100"},
		{"a third of two", Split{one("a", 50), one("b", 50)}, Shift{Partial: true, Share: 33}, "", "a=34 b=33 n=33"},
		{"nearly all", Split{one("a", 99), one("b", 1)}, Shift{Partial: true, Share: 99}, "", "a=1 n=99"},
		{"again, with another share", Split{one("a", 90), one("n", 10)}, Shift{Partial: true, Share: 40}, "", "a=60 n=40"},
		{"again, the same share and tag", Split{one("a", 90), tagged("n", "t", 10)}, Shift{Partial: true, Share: 10}, "t", "a=90 n(t)=10"},
		{"keep", Split{one("a", 100)}, Shift{Keep: true}, "", "a=100"},
		{"keep, tagged", Split{one("a", 100)}, Shift{Keep: true}, "t", "a=100 n(t)=0"},
		{"the tag moves", Split{one("a", 100), tagged("b", "t", 0)}, Shift{Keep: true}, "t", "a=100 n(t)=0"},
		{"the tag moves from a line with traffic", Split{tagged("a", "t", 100)}, Shift{Keep: true}, "t", "a=100 n(t)=0"},
		{"the tag is there", Split{one("a", 100), tagged("n", "t", 0)}, Shift{}, "t", "n(t)=0 n=100"},
	} {
		if got := tt.current.Shift("n", tt.want, tt.tag).String(); got != tt.next {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.next)
		}
	}
}

func drawShift(t *rapid.T) Shift {
	switch rapid.IntRange(0, 3).Draw(t, "kind of shift") {
	case 0:
		return Shift{Keep: true}
	case 1:
		return Shift{Partial: true, Share: rapid.IntRange(1, 100).Draw(t, "share")}
	case 2:
		return Shift{Follow: true}
	}
	return Shift{}
}

// Whatever the split: a shift leaves a sum of 100 and every foreign tag, gives
// the revision its share, does not change what it was called on, and done again
// changes nothing.
func TestShiftKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		current, want := drawSplit(t).Normal().Merge().withoutIdle(), drawShift(t)
		tag := rapid.SampledFrom([]string{"", "a", "z"}).Draw(t, "tag")
		before := slices.Clone(current)
		next := current.Shift("s-new", want, tag)
		if diff := cmp.Diff(before, current); diff != "" {
			t.Fatalf("the current split was changed: %s", diff)
		}
		if next.Sum() != 100 {
			t.Fatalf("%s shifted by %+v is %s", current, want, next)
		}
		tags := tagsOf(current)
		if tag != "" {
			tags[tag] = "s-new"
		}
		if diff := cmp.Diff(tags, tagsOf(next)); diff != "" {
			t.Fatalf("tags of %s: %s", next, diff)
		}
		share := map[bool]int{true: want.Share, false: 100}[want.Partial]
		if want.Keep {
			share = 0
		}
		if got := next.Percent("s-new", "s-new") - current.Percent("s-new", "s-new"); !want.Follow && !current.Follows() && got != share {
			t.Fatalf("%s shifted by %+v is %s: s-new has %d", current, want, next, got)
		}
		if again := next.Shift("s-new", want, tag); !want.Follow && !again.Equal(next) {
			t.Fatalf("%s shifted again by %+v is %s", next, want, again)
		}
		if current.Tagged(tag) < 0 && !want.Follow { // lines that become another one join it
			checkOrder(t, current, next)
		}
	})
}

// Nobody is off its proportion by a whole percent.
func TestShiftIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "revisions")
		var current Split
		for i, p := range shares(t, n) {
			current = append(current, Target{Revision: string(rune('a' + i)), Percent: p})
		}
		percent := rapid.IntRange(1, 100).Draw(t, "share")
		next := current.Shift("n", Shift{Partial: true, Share: percent}, "")
		if next.Sum() != 100 || next.Percent("n", "") != percent {
			t.Fatalf("%s with %d %% for n is %s", current, percent, next)
		}
		for _, c := range current {
			exact := float64(c.Percent*(100-percent)) / 100
			if got := float64(next.Percent(c.Revision, "")); got-exact >= 1 || exact-got >= 1 {
				t.Fatalf("%s: %s has %v, exactly %v", current, c.Revision, got, exact)
			}
		}
	})
}

// checkOrder fails unless the lines of before that are still there follow each
// other as they did.
func checkOrder(t *rapid.T, before, after Split) {
	last := -1
	for _, line := range before {
		at := slices.IndexFunc(after, line.Same)
		if at < 0 {
			continue
		}
		if at < last {
			t.Fatalf("%s has another order than %s", after, before)
		}
		last = at
	}
}

func TestEditsKeepTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		current := drawSplit(t).Normal().Merge().withoutIdle()
		var edit []Resolved
		for _, s := range drawEdit(t) {
			target := Target{Revision: s.Ref}
			if s.Ref == Latest {
				target = Target{Latest: true}
			}
			edit = append(edit, Resolved{Share: s, Target: target})
		}
		next, err := Apply(current, edit)
		if err != nil {
			t.Fatal(err)
		}
		checkOrder(t, current, next)
	})
}

// A tag that a deploy has given is taken off again without a trace.
func TestUntagUndoesATag(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		current := drawSplit(t).Normal().Merge().withoutIdle()
		tagged := current.Shift("s-new", Shift{Keep: true}, "z")
		back, err := RemoveTags(tagged, []string{"z"})
		if err != nil || !back.Equal(current) {
			t.Fatalf("%s → %s → %s, %v", current, tagged, back, err)
		}
	})
}

// What replaces a split can be replaced by it: the last of the history is exactly
// the former one, and nothing else of the annotations has changed.
func TestReplaceHasAnInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		annotations := map[string]string{"theirs": "x"}
		snap := &Snapshot{Spec: drawSplit(t), Annotations: annotations}
		next := drawSplit(t).Normal()
		change := snap.Replace(next, clock).Annotate(DeployKey, "{}")
		after := change.ApplyTo(annotations)
		past, err := History(after[HistoryKey])
		if err != nil || len(past) == 0 || !past[len(past)-1].Split.Equal(snap.Spec.Normal()) || !change.Split.Equal(next) {
			t.Fatalf("%s, replaced by %s: %v, %v", snap.Spec, next, past, err)
		}
		if diff := cmp.Diff(after, change.ApplyTo(after)); diff != "" {
			t.Fatalf("applied again: %s", diff)
		}
		if diff := cmp.Diff(map[string]string{"theirs": "x"}, Change{}.Remove(HistoryKey).Remove(DeployKey).ApplyTo(after)); diff != "" {
			t.Fatalf("not back: %s", diff)
		}
	})
}

// Who follows the latest revision is pinned to what serves: every share by name,
// each revision's as before, tags on the latest revision where they were.
func TestPinnedServesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap := &Snapshot{Spec: drawSplit(t), LatestReady: "s-v5"}
		for _, target := range snap.Spec.Normal() {
			if target.Latest {
				target.Revision = "s-v4" // the route lags behind
			}
			snap.Observed = append(snap.Observed, target)
		}
		snap.Observed = snap.Observed.Merge()
		pinned, serving := snap.Pinned()
		if pinned.Sum() != 100 || pinned.Follows() {
			t.Fatalf("%s is pinned as %s", snap.Spec, pinned)
		}
		if diff := cmp.Diff(tagsOf(snap.Spec.Normal()), tagsOf(pinned)); diff != "" {
			t.Fatalf("tags: %s", diff)
		}
		if snap.Spec.Normal().Follows() != (serving != "") {
			t.Fatalf("%s follows %q", snap.Spec, serving)
		}
		for _, name := range names {
			if got, was := pinned.Percent(name, ""), snap.Spec.Normal().Percent(name, "s-v4"); got != was {
				t.Fatalf("%s is pinned as %s: %s has %d, had %d", snap.Spec, pinned, name, got, was)
			}
		}
		if unfollowed := snap.Spec.Normal().Unfollow("s-v4"); !unfollowed.Equal(pinned) {
			t.Fatalf("%s unfollowed is %s, pinned %s", snap.Spec, unfollowed, pinned)
		}
	})
}

func TestPinned(t *testing.T) {
	for _, tt := range []struct {
		name           string
		spec, observed Split
		want, serving  string
	}{
		{"nothing said means the latest", nil, nil, "s-v3=100", "s-v3"},
		{"the route lags behind the configuration", Split{{Latest: true, Percent: 100}}, Split{{Latest: true, Revision: "s-v2", Percent: 100}}, "s-v2=100", "s-v2"},
		{"names stay", Split{{Revision: "s-v1", Percent: 60}, {Latest: true, Percent: 40}}, nil, "s-v1=60 s-v3=40", "s-v3"},
		{"a tag on the latest stays there", Split{{Latest: true, Tag: "newest", Percent: 100}}, nil, "s-v3=100 @latest(newest)=0", "s-v3"},
		{"a gradual rollout stays where it is", Split{{Latest: true, Percent: 100}}, Split{{Latest: true, Revision: "s-v2", Percent: 94}, {Latest: true, Revision: "s-v3", Percent: 6}}, "s-v2=94 s-v3=6", ""},
		{"a share that the route has not taken up", Split{{Latest: true, Percent: 50}, {Revision: "s-v1", Percent: 50}}, Split{{Latest: true, Revision: "s-v2", Percent: 100}}, "s-v2=50 s-v1=50", "s-v2"},
	} {
		snap := &Snapshot{Spec: tt.spec, Observed: tt.observed, LatestReady: "s-v3"}
		if got, serving := snap.Pinned(); got.String() != tt.want || serving != tt.serving {
			t.Errorf("%s: got %s (%s), want %s (%s)", tt.name, got, serving, tt.want, tt.serving)
		}
	}
	never := &Snapshot{}
	if got, serving := never.Pinned(); got.String() != "@latest=100" || serving != "" {
		t.Errorf("no revision has ever been ready: %s (%s)", got, serving)
	}
}

func TestByRevision(t *testing.T) {
	split := Split{{Revision: "a", Percent: 20, Tag: "x"}, {Latest: true, Percent: 50, URL: "u"}, {Revision: "a", Percent: 30}, {Revision: "b", Tag: "y"}}
	if got := split.ByRevision("b").String(); got != "a=50 b=50" {
		t.Error(got)
	}
}

func TestAnnotationsOfOurOwn(t *testing.T) {
	for key, want := range map[string]bool{
		HistoryKey: true, DeployKey: true, Prefix + "rollout": true,
		ProjectKey: false, CommitKey: false, "kn-lite.developer/x": false, "client.knative.dev/user-image": false,
	} {
		if IsState(key) != want {
			t.Errorf("%s: is bookkeeping %v, want %v", key, !want, want)
		}
	}
	in := map[string]string{HistoryKey: "h", ProjectKey: "p", "team": "a"}
	if diff := cmp.Diff(map[string]string{ProjectKey: "p", "team": "a"}, WithoutState(in)); diff != "" || len(in) != 3 {
		t.Error(diff)
	}
}

// The history gives way before a write is refused, and only then.
func TestHistoryGivesWay(t *testing.T) {
	full := string(make([]byte, budget-10))
	change := Change{}.Annotate(HistoryKey, "[]")
	if got := change.ApplyTo(map[string]string{"k": "v"}); got[HistoryKey] == "" {
		t.Error("it is dropped without need")
	}
	if got := change.ApplyTo(map[string]string{"k": full}); got[HistoryKey] != "" || got["k"] != full || !Fits(got) {
		t.Error("it stays although the service cannot be written with it")
	}
	if got := change.ApplyTo(nil); len(got) != 1 {
		t.Error(got)
	}
	if got := (Change{}).Remove("k").ApplyTo(map[string]string{"k": ""}); got != nil {
		t.Error(got)
	}
}
