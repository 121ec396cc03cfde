package deploy

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// TestForecastIsWhatRunDoes: a dry run and the deploy after it agree, the dry run has
// changed nothing, and afterwards nothing is left to do.
func TestForecastIsWhatRunDoes(t *testing.T) {
	const follows = "traffic follows the newest revision"
	for _, tt := range []struct {
		name     string
		before   []Spec
		change   func(*Spec)
		settings []string
	}{
		{"the first deploy", nil, nil, []string{"image", "label app.kubernetes.io/managed-by"}},
		{"another image", []Spec{spec("0")}, nil, []string{"image"}},
		{"nothing", []Spec{spec("1")}, nil, nil},
		{"a variable", []Spec{spec("1")}, func(s *Spec) { s.Env = []EnvEdit{{Name: "FOO", Value: "bar"}} }, []string{"env FOO"}},
		{"a share", []Spec{spec("0"), spec("1")}, func(s *Spec) { s.Traffic = traffic.Shift{Partial: true, Share: 10} }, []string{follows}},
		{"no traffic", []Spec{spec("0")}, func(s *Spec) { s.Traffic, s.Tag = traffic.Shift{Keep: true}, "next" }, []string{"image", follows}},
		{"a tag", []Spec{spec("1")}, func(s *Spec) { s.Tag = "next" }, nil},
		{"the least number of pods", []Spec{spec("1")}, func(s *Spec) { s.Scale.Min = want[int64](2) }, []string{"scale min"}},
		{"a name", []Spec{spec("0")}, func(s *Spec) { s.Revision = "blue" }, []string{"image"}},
		{"func.yaml's label", []Spec{spec("1")}, func(s *Spec) { s.Project = &Project{Labels: map[string]string{"team": "a"}} }, []string{"revision label team", "label team"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			for _, s := range tt.before {
				run(t, c, s)
			}
			var before *servingv1.Service
			if c.service != nil {
				before = c.service.DeepCopy()
			}
			s := spec("1")
			if tt.change != nil {
				tt.change(&s)
			}
			for _, unchecked := range []bool{false, true} {
				foreseen := dryRun(t, c, s, unchecked)
				if diff := cmp.Diff(before, c.service); diff != "" {
					t.Errorf("%s: the dry run has changed the service:\n%s", tt.name, diff)
				}
				if got := settings(foreseen); !slices.Equal(got, tt.settings) {
					t.Errorf("%s: the settings %q, want %q", tt.name, got, tt.settings)
				}
			}
			foreseen := dryRun(t, c, s, false)
			done := run(t, c, s)
			if done.Outcome != foreseen.Outcome || done.Revision != foreseen.Revision || !done.Split.Pin(done.Revision).Equal(foreseen.Forecast.After) {
				t.Errorf("%s: foreseen %s %s %s, done %s %s %s", tt.name,
					foreseen.Outcome, foreseen.Revision, foreseen.Forecast.After, done.Outcome, done.Revision, done.Split)
			}
			if again := dryRun(t, c, s, false); again.Outcome != Unchanged || len(again.Forecast.Changes) != 0 {
				t.Errorf("%s: after the deploy: %s, %q", tt.name, again.Outcome, settings(again))
			}
		})
	}
}

func dryRun(t *testing.T, c *cluster, s Spec, unchecked bool) *Result {
	t.Helper()
	o := options()
	o.DryRun, o.Unchecked = true, unchecked
	r, err := Run(t.Context(), c, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func settings(r *Result) (names []string) {
	for _, c := range r.Forecast.Changes {
		names = append(names, c.Setting)
	}
	return names
}

// TestPreviewsLeaveTheSettings: what a preview sets is not the next deploy's, a second
// preview does not have it either, and the content of one goes live when it is deployed.
func TestPreviewsLeaveTheSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		preview := func(n, tag, value string) Spec {
			s := spec(n)
			s.Aside, s.Tag, s.Traffic = true, tag, traffic.Shift{Keep: true}
			s.Env = []EnvEdit{{Name: "STAGE", Value: value}}
			return s
		}
		c := newCluster()
		first := spec("0")
		first.Env, first.Project = []EnvEdit{{Name: "OWN", Value: "1"}}, &Project{Labels: map[string]string{"team": "a"}}
		run(t, c, first)
		run(t, c, preview("1", "pr-1", "one"))
		if got := env(c.service); !slices.Equal(got, []string{"OWN=1", "STAGE=one"}) {
			t.Errorf("the first preview has %q", got)
		}
		second := preview("2", "pr-2", "two")
		second.Env = second.Env[:0]
		second.Project = &Project{} // its func.yaml has no label
		run(t, c, second)
		if got := env(c.service); !slices.Equal(got, []string{"OWN=1"}) {
			t.Errorf("the second preview has %q", got)
		}

		next := spec("3")
		next.Project = &Project{}
		done := run(t, c, next)
		if got := env(c.service); !slices.Equal(got, []string{"OWN=1"}) || done.Split.Percent(done.Revision, done.Revision) != 100 {
			t.Errorf("the next deploy has %q, traffic %s", got, done.Split)
		}
		if got := c.service.Spec.Template.Labels["team"]; got != "" {
			t.Errorf("the label that func.yaml has no longer is %q", got)
		}
		if _, noted := c.service.Annotations[traffic.ReleasedKey]; noted {
			t.Error("the note is left on a service whose template is released")
		}

		// The same content as a preview's: it is taken as it is, and goes live.
		last := preview("4", "pr-4", "x")
		last.Env = nil
		made := run(t, c, last)
		if share := made.Split.Percent(made.Revision, made.Revision); share != 0 {
			t.Fatalf("a preview has %d %%", share)
		}
		merged := spec("4")
		merged.Project = &Project{}
		live := run(t, c, merged)
		if live.Revision != made.Revision || live.Split.Percent(live.Revision, live.Revision) != 100 {
			t.Errorf("merged: %s of %s, traffic %s", live.Revision, made.Revision, live.Split)
		}
		again := run(t, c, merged)
		if again.Outcome != Unchanged {
			t.Errorf("and once more: %s", again.Outcome)
		}
	})
}
