package traffic

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestApply(t *testing.T) {
	edit := func(shares ...Resolved) []Resolved { return shares }
	to := func(rev string, percent int) Resolved {
		return Resolved{Share{rev, percent}, Target{Revision: rev}}
	}
	latest := func(percent int) Resolved { return Resolved{Share{Latest, percent}, Target{Latest: true}} }
	tag := func(tag, rev string, percent int) Resolved {
		return Resolved{Share{tag, percent}, Target{Revision: rev, Tag: tag}}
	}
	tests := []struct {
		name    string
		current Split
		edit    []Resolved
		want    Split
		diff    string
	}{
		{
			"from all on the latest to half and half",
			Split{{Latest: true, Percent: 100}},
			edit(to("v1", 50), to("v2", 50)),
			Split{{Revision: "v1", Percent: 50}, {Revision: "v2", Percent: 50}},
			"@latest 100 % → 0 %, v1 0 % → 50 %, v2 0 % → 50 %",
		},
		{
			"a foreign service without any targets", nil, edit(to("v1", 100)),
			Split{{Revision: "v1", Percent: 100}},
			"@latest 100 % → 0 %, v1 0 % → 100 %",
		},
		{
			"a foreign target without a name follows the latest",
			Split{{Percent: 100, Tag: "t"}},
			edit(latest(100)),
			Split{{Latest: true, Percent: 100, Tag: "t"}},
			"",
		},
		{
			"tags that are not named stay, untagged losers go",
			Split{{Revision: "v1", Percent: 60}, {Revision: "v2", Percent: 40}, {Revision: "v0", Tag: "old"}},
			edit(to("v2", 100)),
			Split{{Revision: "v2", Percent: 100}, {Revision: "v0", Tag: "old"}},
			"v1 60 % → 0 %, v2 40 % → 100 %",
		},
		{
			"a share goes to the line that had one",
			Split{{Revision: "v1", Tag: "a", Percent: 100}, {Revision: "v1", Tag: "b"}},
			edit(to("v1", 20), to("v2", 80)),
			Split{{Revision: "v1", Tag: "a", Percent: 20}, {Revision: "v1", Tag: "b"}, {Revision: "v2", Percent: 80}},
			"v1 (a) 100 % → 20 %, v2 0 % → 80 %",
		},
		{
			"a tag means its own line",
			Split{{Revision: "v1", Percent: 100}, {Revision: "v1", Tag: "b"}},
			edit(tag("b", "v1", 30), to("v1", 70)),
			Split{{Revision: "v1", Percent: 70}, {Revision: "v1", Tag: "b", Percent: 30}},
			"v1 100 % → 70 %, v1 (b) 0 % → 30 %",
		},
		{
			"a line that follows the latest is not the revision that this is now",
			Split{{Latest: true, Revision: "v2", Percent: 100}},
			edit(to("v2", 50), latest(50)),
			Split{{Latest: true, Percent: 50}, {Revision: "v2", Percent: 50}},
			"@latest 100 % → 50 %, v2 0 % → 50 %",
		},
		{
			"the same again changes nothing",
			Split{{Revision: "v1", Percent: 50}, {Revision: "v2", Percent: 50}},
			edit(to("v2", 50), to("v1", 50)),
			Split{{Revision: "v1", Percent: 50}, {Revision: "v2", Percent: 50}},
			"",
		},
		{
			"two lines of one revision become one",
			Split{{Revision: "v1", Percent: 50}, {Revision: "v1", Percent: 50}},
			edit(to("v1", 100)),
			Split{{Revision: "v1", Percent: 100}},
			"",
		},
	}
	for _, tt := range tests {
		next, err := Apply(tt.current, tt.edit)
		changes := Diff(tt.current.Normal(), next)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, next); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
		if got := DiffText(changes); got != tt.diff {
			t.Errorf("%s: changes are %q, want %q", tt.name, got, tt.diff)
		}
	}
}

func TestApplyRefusesOneLineTwice(t *testing.T) {
	current := Split{{Revision: "v1", Tag: "blue", Percent: 100}}
	_, err := Apply(current, []Resolved{
		{Share{"blue", 30}, Target{Revision: "v1", Tag: "blue"}},
		{Share{"v1", 70}, Target{Revision: "v1"}},
	})
	checkFault(t, "one line twice", err, fault.Usage, "blue and v1 are the same target", "one share")
}

// places draws whole shares that sum to 100.
func shares(t *rapid.T, n int) []int {
	out := make([]int, n)
	left := 100
	for i := range n - 1 {
		out[i] = rapid.IntRange(0, left).Draw(t, "share")
		left -= out[i]
	}
	out[n-1] = left
	return out
}

var names = []string{"s-v1", "s-v2", "s-v3", "s-v4", "s-v5"}

func drawSplit(t *rapid.T) Split {
	n := rapid.IntRange(0, 6).Draw(t, "targets")
	if n == 0 {
		return nil
	}
	split := make(Split, n)
	tags := rapid.Permutation([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "tags")
	for i, p := range shares(t, n) {
		split[i] = Target{Latest: rapid.Bool().Draw(t, "latest"), Percent: p}
		if !split[i].Latest {
			split[i].Revision = rapid.SampledFrom(names).Draw(t, "revision")
		}
		if rapid.Bool().Draw(t, "tagged") {
			split[i].Tag = tags[i]
		}
	}
	return split
}

func drawEdit(t *rapid.T) Edit {
	refs := append([]string{Latest}, names...)
	refs = rapid.Permutation(refs).Draw(t, "refs")
	n := rapid.IntRange(1, len(refs)).Draw(t, "shares")
	edit := make(Edit, n)
	for i, p := range shares(t, n) {
		edit[i] = Share{refs[i], p}
	}
	return edit
}

func tagsOf(s Split) map[string]string {
	out := make(map[string]string)
	for _, t := range s {
		if t.Tag != "" {
			out[t.Tag] = t.Name()
		}
	}
	return out
}

func TestApplyKeepsItsPromises(t *testing.T) {
	known := Known{Service: "s", LatestReady: "s-v5"}
	for i, name := range names {
		known.Revisions = append(known.Revisions, Revision{Name: name, Generation: int64(i + 1), State: Ready})
	}
	rapid.Check(t, func(t *rapid.T) {
		current, edit := drawSplit(t), drawEdit(t)
		known := known
		known.Split = current
		resolved, err := Resolve(known, edit)
		if err != nil {
			t.Fatal(err)
		}
		next, err := Apply(current, resolved)
		if err != nil {
			t.Fatal(err)
		}
		changes := Diff(current.Normal(), next)
		if next.Sum() != 100 {
			t.Fatalf("%v sums to %d", next, next.Sum())
		}
		if diff := cmp.Diff(tagsOf(current.Normal()), tagsOf(next)); diff != "" {
			t.Fatalf("tags changed: %s", diff)
		}
		for _, target := range next {
			if target.Percent == 0 && target.Tag == "" {
				t.Fatalf("%v keeps a line for nothing", next)
			}
		}
		for _, share := range edit {
			got := 0
			for _, target := range next {
				if target.Name() == share.Ref {
					got += target.Percent
				}
			}
			if got != share.Percent {
				t.Fatalf("%s has %d in %v, want %d", share.Ref, got, next, share.Percent)
			}
		}
		if (len(changes) == 0) != next.Equal(current.Normal()) {
			t.Fatalf("%v → %v: changes %v", current, next, changes)
		}
		again, err := Apply(next, resolved)
		if err != nil || !again.Equal(next) {
			t.Fatalf("the same edit again gives %v (%v)", again, err)
		}
		if diff := cmp.Diff(next, again); diff != "" {
			t.Fatalf("not idempotent: %s", diff)
		}
	})
}

// kept returns what a history holds of splits that were replaced one after another.
func kept(all []Split) []Split {
	var out []Split
	for _, split := range all {
		out = append(out, split)
		if len(out) <= historyLength {
			continue
		}
		drop := 0
		for i := range out[1:] {
			if out[i].SameShares(out[i+1]) {
				drop = i
				break
			}
		}
		out = slices.Delete(out, drop, drop+1)
	}
	return out
}

func TestHistoryForgetsTagsBeforeShares(t *testing.T) {
	split := Split{{Revision: "hello-v1", Percent: 90}, {Revision: "hello-v2", Percent: 10}}
	text := Remember("", Split{{Revision: "hello-v1", Percent: 100}}, clock)
	for i := range 40 { // as previews come and go
		split = append(split[:2:2], Target{Revision: "hello-v2", Tag: "pr-" + strconv.Itoa(i)})
		text = Remember(text, split, clock)
	}
	text = Remember(text, Split{{Revision: "hello-v2", Percent: 100}}, clock)
	past, err := History(text)
	if err != nil || len(past) != historyLength {
		t.Fatalf("%d remembered, %v", len(past), err)
	}
	if got := past[0].Split.String(); got != "hello-v1=100" {
		t.Errorf("the oldest is %s", got)
	}
	if got := past[historyLength-2].Split; got.Tagged("pr-39") < 0 {
		t.Errorf("the one before the last is %s", got)
	}
}

func TestHistoryRemembersTheLastOnesOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text string
		var all []Split
		for range rapid.IntRange(0, 30).Draw(t, "edits") {
			split := drawSplit(t)
			all = append(all, split)
			text = Remember(text, split, clock)
		}
		past, err := History(text)
		if err != nil {
			t.Fatal(err)
		}
		want := kept(all)
		if len(past) != len(want) {
			t.Fatalf("%d remembered, want %d", len(past), len(want))
		}
		for i := range past {
			if !past[i].Split.Equal(want[i]) || !past[i].Until.Equal(clock) {
				t.Fatalf("%v was remembered as %v", want[i], past[i])
			}
		}
	})
}

func TestHistoryStartsAnewWhenItCannotBeRead(t *testing.T) {
	if _, err := History("{"); err == nil {
		t.Error("a broken annotation reads as history")
	}
	past, err := History(Remember("{", Split{{Latest: true, Percent: 100}}, clock))
	if err != nil || len(past) != 1 {
		t.Errorf("%v, %v", past, err)
	}
}

// Each tag is a target too: what counts is the annotation's size.
func TestHistoryIsBoundedInSize(t *testing.T) {
	var text string
	var split Split
	for n := range 400 {
		split = append(split, Target{Revision: fmt.Sprintf("fn-%05d", n), Tag: fmt.Sprintf("preview-of-pull-request-%d", n)})
		if text = Remember(text, split, clock); len(text) > historySize {
			t.Fatalf("after %d changes: %d bytes", n+1, len(text))
		}
		if past, err := History(text); err != nil || n < 100 && (len(past) == 0 || !past[len(past)-1].Split.Equal(split)) {
			t.Fatalf("after %d changes: %d are remembered, %v", n+1, len(past), err)
		}
	}
}

func TestRemoveTags(t *testing.T) {
	current := Split{{Revision: "a", Percent: 60}, {Revision: "a", Tag: "blue", Percent: 10}, {Latest: true, Tag: "next", Percent: 30}, {Revision: "gone", Tag: "old"}}
	for _, tt := range []struct {
		tags []string
		want string
	}{
		{[]string{"old"}, "a=60 a(blue)=10 @latest(next)=30"},
		{[]string{"blue"}, "a=70 @latest(next)=30 gone(old)=0"},
		{[]string{"next", "old"}, "a=60 a(blue)=10 @latest=30"},
	} {
		next, err := RemoveTags(current, tt.tags)
		if err != nil || next.String() != tt.want || next.Equal(current) {
			t.Errorf("without %v: %s, %v; want %s", tt.tags, next, err, tt.want)
		}
	}
	_, err := RemoveTags(current, []string{"nosuch"})
	checkFault(t, "unknown", err, fault.NotFound, "nosuch", "tags: blue, next, old")
}
