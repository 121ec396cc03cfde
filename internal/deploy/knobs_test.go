package deploy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Each knob changes what it says and nothing else, and the same again is no change.
func TestKnobs(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  Knobs
		want []string
	}{
		{"label", Knobs{Labels: []EnvEdit{{Name: "team", Value: "a"}}}, []string{"revision label team:  → a", "label team:  → a"}},
		{"annotation", Knobs{Annotations: []EnvEdit{{Name: "example.com/x", Value: "y z"}}}, []string{"annotation example.com/x:  → y z", "annotation example.com/x:  → y z"}},
		{"annotation of revisions", Knobs{Annotations: []EnvEdit{{Name: "autoscaling.knative.dev/class", Value: "kpa.autoscaling.knative.dev"}}}, []string{"scale class:  → kpa.autoscaling.knative.dev"}},
		{"annotation of the service", Knobs{Annotations: []EnvEdit{{Name: "serving.knative.dev/rollout-duration", Value: "60s"}}}, []string{"annotation serving.knative.dev/rollout-duration:  → 60s"}},
		{"request", Knobs{Requests: []EnvEdit{{Name: "cpu", Value: "250m"}}}, []string{"cpu request:  → 250m"}},
		{"limit", Knobs{Limits: []EnvEdit{{Name: "memory", Value: "128Mi"}}}, []string{"memory limit:  → 128Mi"}},
		{"account", Knobs{ServiceAccount: "runner"}, []string{"service account:  → runner"}},
		{"timeout", Knobs{RequestTimeout: time.Minute}, []string{"request timeout in seconds: 300 → 60"}},
		{"cluster-local", Knobs{ClusterLocal: want(true)}, []string{"label networking.knative.dev/visibility:  → cluster-local"}},
		{"open already", Knobs{ClusterLocal: want(false)}, nil},
		{"autoscaler", Knobs{Autoscaler: Autoscaler{
			Initial: want[int64](2), Activation: want[int64](3), DownDelay: want(15 * time.Second), Retention: want(time.Minute),
			PanicWindow: want(20.0), PanicThreshold: want(300.5),
		}}, []string{
			"scale activation-scale:  → 3", "scale initial-scale:  → 2", "scale panic-threshold-percentage:  → 300.5",
			"scale panic-window-percentage:  → 20", "scale scale-down-delay:  → 15s", "scale scale-to-zero-pod-retention-period:  → 1m0s",
		}},
	} {
		live := desired(t, nil, spec("1"))
		s := spec("1")
		s.Knobs = tt.set
		next := desired(t, live, s)
		if got := lines(Differences(live, next, nil)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if again := Differences(next, desired(t, next, s), nil); again != nil {
			t.Errorf("%s again: %q", tt.name, lines(again))
		}
		if plain := Differences(next, desired(t, next, spec("1")), nil); plain != nil {
			t.Errorf("%s does not stay: %q", tt.name, lines(plain))
		}
	}
}

func TestKnobsRemove(t *testing.T) {
	live := desired(t, nil, spec("1"))
	set, unset := spec("1"), spec("1")
	set.Knobs = Knobs{
		Labels: []EnvEdit{{Name: "team", Value: "a"}}, Annotations: []EnvEdit{{Name: "example.com/x", Value: "y"}},
		Requests: []EnvEdit{{Name: "cpu", Value: "1"}}, Limits: []EnvEdit{{Name: "cpu", Value: "2"}}, ClusterLocal: want(true),
	}
	unset.Knobs = Knobs{
		Labels: []EnvEdit{{Name: "team", Remove: true}}, Annotations: []EnvEdit{{Name: "example.com/x", Remove: true}},
		Requests: []EnvEdit{{Name: "cpu", Remove: true}}, Limits: []EnvEdit{{Name: "cpu", Remove: true}}, ClusterLocal: want(false),
	}
	if got := Differences(live, desired(t, desired(t, live, set), unset), nil); got != nil {
		t.Errorf("left: %q", lines(got))
	}
}

func TestKnobsThatAreRefused(t *testing.T) {
	for name, err := range map[string]error{
		"label without value": second(ParseLabels([]string{"team"})),
		"label's key":         second(ParseLabels([]string{"a b=c"})),
		"label's value":       second(ParseLabels([]string{"a=b c"})),
		"annotation of ours":  second(ParseAnnotations([]string{"kn-lite.dev/deploy=x"})),
		"annotation's key":    second(ParseAnnotations([]string{"=x"})),
		"quantity":            second(ParseResources("limit", []string{"cpu=much"})),
		"negative":            second(ParseResources("limit", []string{"cpu=1,memory=-1"})),
		"no quantity":         second(ParseResources("request", []string{"cpu"})),
	} {
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, knobs := range map[string]Knobs{
		"more than the limit": {Requests: []EnvEdit{{Name: "cpu", Value: "2"}}, Limits: []EnvEdit{{Name: "cpu", Value: "1"}}},
		"panic window":        {Autoscaler: Autoscaler{PanicWindow: want(101.0)}},
		"delay":               {Autoscaler: Autoscaler{DownDelay: want(2 * time.Hour)}},
	} {
		s := spec("1")
		s.Knobs = knobs
		if _, err := Desired(nil, s); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// lines are differences as SETTING BEFORE → AFTER.
func lines(differences []Difference) []string {
	var out []string
	for _, d := range differences {
		out = append(out, d.Setting+": "+d.Before+" → "+d.After)
	}
	return out
}

// TestManifestOfEmptyDir: a volume without a source would be refused.
func TestManifestOfEmptyDir(t *testing.T) {
	s := spec("1")
	s.Project = &Project{Volumes: []Volume{{Path: "/tmp/x", EmptyDir: true}}}
	raw, err := json.Marshal(Manifest(desired(t, nil, s)))
	if err != nil || !strings.Contains(string(raw), `"emptyDir":{}`) {
		t.Errorf("%s, %v", raw, err)
	}
}
