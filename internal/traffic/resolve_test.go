package traffic

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// hello has four revisions, the newest not ready, and two tags.
func hello() Known {
	return Known{
		Service:     "hello",
		LatestReady: "hello-v3",
		Revisions: []Revision{
			{Name: "hello-v2", Generation: 2, State: Ready, Image: "r.example/hello@sha256:bbbb2222", Commit: "2222bbbb"},
			{Name: "hello-v1", Generation: 1, State: Ready, Image: "r.example/hello@sha256:aaaa1111", Commit: "1111aaaa"},
			{Name: "hello-v4", Generation: 4, State: NotReady, Reason: "ContainerMissing", Message: "no such image", Image: "r.example/hello@sha256:aaaa4444"},
			{Name: "hello-v3", Generation: 3, State: Ready, Image: "r.example/hello@sha256:cccc3333", Commit: "1111cccc"},
		},
		Split: Split{
			{Revision: "hello-v1", Percent: 70},
			{Latest: true, Percent: 30},
			{Revision: "hello-v1", Tag: "blue"},
			{Latest: true, Tag: "next"},
		},
	}
}

func TestResolve(t *testing.T) {
	tests := []struct {
		ref  string
		want Target
	}{
		{"v1", Target{Revision: "hello-v1"}},
		{"hello-v1", Target{Revision: "hello-v1"}},
		{"v4", Target{Revision: "hello-v4"}},
		{"blue", Target{Revision: "hello-v1", Tag: "blue"}},
		{"tag:blue", Target{Revision: "hello-v1", Tag: "blue"}},
		{"next", Target{Latest: true, Tag: "next"}},
		{"@latest", Target{Latest: true}},
		{"@prev", Target{Revision: "hello-v2"}},
		{"@stable", Target{Revision: "hello-v1"}},
		{"git:2222", Target{Revision: "hello-v2"}},
		{"git:1111A", Target{Revision: "hello-v1"}},
		{"sha256:bbbb", Target{Revision: "hello-v2"}},
		{"@sha256:cccc33", Target{Revision: "hello-v3"}},
	}
	for _, tt := range tests {
		got, err := Resolve(hello(), Edit{{tt.ref, 100}})
		if err != nil {
			t.Errorf("%s: %v", tt.ref, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got[0].Target); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.ref, diff)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	clash := hello()
	clash.Split = append(clash.Split, Target{Revision: "hello-v1", Tag: "v2"})
	tie := hello()
	tie.Split = Split{{Revision: "hello-v1", Percent: 50}, {Revision: "hello-v2", Percent: 50}}
	lone := Known{Service: "hello", LatestReady: "hello-v1", Revisions: []Revision{{Name: "hello-v1", State: Ready}}}

	tests := []struct {
		known      Known
		edit       Edit
		kind       fault.Kind
		text, hint string
	}{
		{hello(), Edit{{"v9", 100}}, fault.NotFound, `service hello has no revision or tag "v9"`, "revisions: hello-v4 (not ready), hello-v3, hello-v2, hello-v1\ntags: blue, next"},
		{hello(), Edit{{"hello-v22", 100}}, fault.NotFound, `"hello-v22"`, "did you mean hello-v2?"},
		{hello(), Edit{{"@lates", 100}}, fault.NotFound, `"@lates"`, "did you mean @latest?"},
		{hello(), Edit{{"tag:green", 100}}, fault.NotFound, `"tag:green"`, "tags: blue, next"},
		{hello(), Edit{{"git:9999", 100}}, fault.NotFound, `"git:9999"`, "revisions:"},
		{hello(), Edit{{"git:1111", 100}}, fault.Usage, `"git:1111" is ambiguous`, "hello-v1 (revision)\n  hello-v3 (revision)"},
		{hello(), Edit{{"sha256:aaaa", 100}}, fault.Usage, `is ambiguous`, "hello-v4 (revision)"},
		{hello(), Edit{{"git:1", 100}}, fault.Usage, "at least 4 characters", ""},
		{hello(), Edit{{"sha256:", 100}}, fault.Usage, "at least 4 characters", ""},
		{hello(), Edit{{"v1", 50}, {"hello-v1", 50}}, fault.Usage, "v1 and hello-v1 are the same target, hello-v1", "one share"},
		{hello(), Edit{{"@stable", 50}, {"v1", 50}}, fault.Usage, "@stable and v1 are the same target", "one share"},
		{clash, Edit{{"v2", 100}}, fault.Usage, `"v2" is ambiguous`, "hello-v2 (revision)\n  tag:v2 (leads to hello-v1)"},
		{tie, Edit{{"@stable", 100}}, fault.Usage, `"@stable" is ambiguous`, "hello-v2 (revision)\n  hello-v1 (revision)"},
		{lone, Edit{{"@prev", 100}}, fault.NotFound, "no ready revision before", "revisions: hello-v1"},
		{Known{Service: "hello"}, Edit{{"v1", 100}}, fault.NotFound, `"v1"`, "it has no revisions yet"},
	}
	for _, tt := range tests {
		_, err := Resolve(tt.known, tt.edit)
		checkFault(t, tt.edit.String(), err, tt.kind, tt.text, tt.hint)
	}
}

func TestATagOnItsOwnRevisionIsNotAmbiguous(t *testing.T) {
	known := hello()
	known.Split = append(known.Split, Target{Revision: "hello-v2", Tag: "v2"})
	got, err := Resolve(known, Edit{{"v2", 100}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Target{Revision: "hello-v2"}, got[0].Target); diff != "" {
		t.Error(diff)
	}
}

func TestCheckReady(t *testing.T) {
	starting := hello()
	starting.Revisions[0].State = Unknown
	starting.Revisions[0].Reason = "Deploying"
	dead := hello()
	dead.LatestReady = ""
	serving := hello()
	serving.Split = Split{{Revision: "hello-v4", Percent: 60}, {Revision: "hello-v1", Percent: 40}}

	tests := []struct {
		name       string
		known      Known
		next       Split
		text, hint string // "" text: allowed
	}{
		{"ready", hello(), Split{{Revision: "hello-v1", Percent: 50}, {Revision: "hello-v2", Percent: 50}}, "", ""},
		{"broken", hello(), Split{{Revision: "hello-v4", Percent: 1}, {Revision: "hello-v2", Percent: 99}}, "revision/hello-v4: is not ready, so it gets no traffic: ContainerMissing: no such image", "nothing was changed"},
		{"broken under a tag", hello(), Split{{Revision: "hello-v4", Tag: "x"}, {Revision: "hello-v2", Percent: 100}}, "takes up no split that names it: ContainerMissing", "kn-lite traffic untag -s hello x"},
		{"gone", hello(), Split{{Revision: "hello-v9", Percent: 100}}, "revision/hello-v9: is gone", "revisions: hello-v4 (not ready)"},
		{"gone under a tag", hello(), Split{{Revision: "hello-v9", Tag: "old"}, {Revision: "hello-v2", Percent: 100}}, "revision/hello-v9: is gone", "kn-lite traffic untag -s hello old"},
		{"starting", starting, Split{{Revision: "hello-v2", Percent: 100}}, "still starting (Deploying)", "nothing was changed"},
		{"latest without any", dead, Split{{Latest: true, Percent: 100}}, "no revision of it is ready yet", "revisions:"},
		{"broken loses some", serving, Split{{Revision: "hello-v4", Percent: 10}, {Revision: "hello-v1", Percent: 90}}, "revision/hello-v4", "choose another revision"},
		{"broken loses all", serving, Split{{Revision: "hello-v1", Percent: 100}}, "", ""},
	}
	for _, tt := range tests {
		err := CheckReady(tt.known, tt.next)
		if tt.text == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		checkFault(t, tt.name, err, fault.Conflict, tt.text, tt.hint)
	}
}
