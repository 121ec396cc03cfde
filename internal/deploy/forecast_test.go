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
