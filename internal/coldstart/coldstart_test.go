package coldstart

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/fault"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestRound(t *testing.T) {
	tests := []struct {
		name  string
		marks Marks
		want  map[Phase]time.Duration
	}{
		{
			"everything was seen",
			Marks{Asked: at(0), Created: at(100), Scheduled: at(130), Started: at(600), Ready: at(900), Answered: at(1000), Pull: ms(200)},
			map[Phase]time.Duration{Activate: ms(100), Schedule: ms(30), Pull: ms(200), Start: ms(270), Ready: ms(300), Answer: ms(100)},
		},
		{
			"the answer came before the pod was said to be ready",
			Marks{Asked: at(0), Created: at(100), Scheduled: at(130), Started: at(600), Ready: at(1900), Answered: at(1000)},
			map[Phase]time.Duration{Activate: ms(100), Schedule: ms(30), Start: ms(470), Ready: ms(400), Answer: 0},
		},
		{
			"a state that was not seen belongs to the next one",
			Marks{Asked: at(0), Created: at(100), Started: at(600), Answered: at(1000)},
			map[Phase]time.Duration{Activate: ms(100), Start: ms(500), Answer: ms(400)},
		},
		{
			"a pull that is longer than what it is a part of",
			Marks{Asked: at(0), Created: at(100), Scheduled: at(100), Started: at(600), Ready: at(600), Answered: at(1000), Pull: ms(5000)},
			map[Phase]time.Duration{Activate: ms(100), Schedule: 0, Pull: ms(500), Start: 0, Ready: 0, Answer: ms(400)},
		},
		{"pods may not be looked at", Marks{Asked: at(0), Answered: at(1000)}, map[Phase]time.Duration{Answer: ms(1000)}},
	}
	for _, tt := range tests {
		r := NewRound(tt.marks)
		if diff := cmp.Diff(tt.want, r.Phases); diff != "" || r.Total != ms(1000) {
			t.Errorf("%s: %v, -want +got:\n%s", tt.name, r.Total, diff)
		}
	}
}

// Whatever was seen and in whatever order, the phases sum to the total and none is
// negative.
func TestPhasesSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mark := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "missing") {
				return time.Time{}
			}
			return at(rapid.IntRange(-50, 2000).Draw(t, "ms"))
		})
		r := NewRound(Marks{
			Asked: at(0), Answered: at(rapid.IntRange(0, 1500).Draw(t, "answered")),
			Created: mark.Draw(t, "created"), Scheduled: mark.Draw(t, "scheduled"), Started: mark.Draw(t, "started"), Ready: mark.Draw(t, "ready"),
			Pull: ms(rapid.IntRange(0, 3000).Draw(t, "pull")),
		})
		var sum time.Duration
		for phase, d := range r.Phases {
			if d < 0 {
				t.Fatalf("%s is %v", phase, d)
			}
			sum += d
		}
		if sum != r.Total {
			t.Fatalf("the phases sum to %v, the total is %v", sum, r.Total)
		}
	})
}

func TestFigures(t *testing.T) {
	var all []time.Duration
	for i := 20; i >= 1; i-- {
		all = append(all, ms(i))
	}
	f := NewFigures(all)
	for percent, want := range map[int]int{1: 1, 5: 1, 50: 10, 95: 19, 96: 20, 100: 20} {
		if got := f.Quantile(percent); got != ms(want) {
			t.Errorf("p%d of 1 to 20 is %v", percent, got)
		}
	}
	if f.Mean() != ms(10)+ms(1)/2 {
		t.Errorf("mean %v", f.Mean())
	}
	five := NewFigures([]time.Duration{5, 1, 4, 2, 3})
	if five.Quantile(95) != 5 || five.Quantile(50) != 3 {
		t.Errorf("of five: %v, %v", five.Quantile(95), five.Quantile(50))
	}
	none := NewFigures(nil)
	if none.Quantile(95) != 0 || none.Mean() != 0 {
		t.Error("of none")
	}
}

func TestBudget(t *testing.T) {
	limits, err := ParseBudget([]string{"p95=1.5s", "max=2s", "median=900ms", "mean=1s"})
	if err != nil {
		t.Fatal(err)
	}
	f := NewFigures([]time.Duration{ms(800), ms(1000), ms(1600)})
	want := []time.Duration{ms(1600), ms(1600), ms(1000), ms(3400) / 3}
	for i, l := range limits {
		if got := l.Value(f); got != want[i] {
			t.Errorf("%s is %v, want %v", l.Figure, got, want[i])
		}
	}
	for _, bad := range []string{"", "p95", "p95=", "p95=fast", "p95=-1s", "p95=0s", "p0=1s", "p101=1s", "p05=1s", "p=1s", "average=1s", "p95=1.5"} {
		if _, err := ParseBudget([]string{bad}); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ParseBudget([]string{"p95=1s", "p95=2s"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("twice: %v", err)
	}
}

func TestSee(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "new"}}
	pod.Spec.Containers = []corev1.Container{{Name: "queue-proxy"}, {Name: "user-container"}}
	old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "old"}}
	old.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	leaving := old.DeepCopy()
	leaving.Name, leaving.DeletionTimestamp = "leaving", &metav1.Time{Time: start}
	var m Marks
	see := func(ms int) { m.See([]*corev1.Pod{old, leaving, pod}, map[string]bool{"old": true}, at(ms)) }
	m.See([]*corev1.Pod{old, leaving}, map[string]bool{"old": true}, at(5))
	see(10)
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	see(20)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "queue-proxy", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	see(30)
	pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: "user-container", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	see(40)
	pod.Status.Conditions[1].Status = corev1.ConditionTrue
	see(50)
	see(60)
	want := Marks{Created: at(10), Scheduled: at(20), Started: at(40), Ready: at(50)}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPullTime(t *testing.T) {
	event := func(reason, message string) corev1.Event { return corev1.Event{Reason: reason, Message: message} }
	events := []corev1.Event{
		event("Pulling", `Pulling image "r/fn@sha256:1"`),
		event("Pulled", `Successfully pulled image "r/fn@sha256:1" in 1.2s (1.5s including waiting). Image size: 7 bytes.`),
		event("Pulled", `Successfully pulled image "r/side" in 300ms (300ms including waiting)`),
		event("Pulled", `Container image "r/queue" already present on machine`),
		event("Started", "Started container user-container"),
	}
	if got := PullTime(events); got != 1500*time.Millisecond {
		t.Errorf("%v", got)
	}
	if got := PullTime(events[3:]); got != 0 {
		t.Errorf("present: %v", got)
	}
}
