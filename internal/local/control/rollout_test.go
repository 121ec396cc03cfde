package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// rolling is a route under a rollout, whose clock the test moves.
type rolling struct {
	route *servingv1.Route
	paces map[string]pace
	now   time.Time
	due   time.Time
}

func newRolling(duration string) *rolling {
	return &rolling{now: noon, route: &servingv1.Route{ObjectMeta: metav1.ObjectMeta{
		Name: "s", Namespace: "n", Annotations: map[string]string{serving.RolloutDurationKey: duration},
	}}}
}

// to asks for REVISION/SHARE…, of which those of a revision with a star follow the latest.
func (r *rolling) to(want ...string) string {
	var targets []servingv1.TrafficTarget
	for _, text := range want {
		name, share, _ := strings.Cut(text, "/")
		latest := strings.HasSuffix(name, "*")
		var n int64
		_, _ = fmt.Sscan(share, &n)
		targets = append(targets, servingv1.TrafficTarget{RevisionName: strings.TrimSuffix(name, "*"), Percent: &n, LatestRevision: &latest})
	}
	find := lookup{revision: func(name string) (*servingv1.Revision, bool) {
		return testRevision(name, 1, corev1.ConditionTrue), name != "gone"
	}}
	var traffic []servingv1.TrafficTarget
	traffic, r.paces, r.due = rollOut(r.route, targets, find, r.paces, r.now)
	r.route.Status.Traffic = traffic
	var out []string
	for _, t := range traffic {
		out = append(out, fmt.Sprintf("%s/%d", t.RevisionName, *t.Percent))
	}
	return strings.Join(out, " ")
}

func TestRollOut(t *testing.T) {
	r := newRolling("11s")
	check := func(after time.Duration, want string, traffic ...string) {
		t.Helper()
		r.now = r.now.Add(after)
		if got := r.to(traffic...); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	check(0, "r1/100", "r1*/100") // nothing before it
	check(0, "r1/99 r2/1", "r2*/100")
	if got := r.due.Sub(r.now); got != time.Second {
		t.Errorf("the next step is in %v", got)
	}
	check(500*time.Millisecond, "r1/99 r2/1", "r2*/100") // too early
	check(500*time.Millisecond, "r1/89 r2/11", "r2*/100")
	check(time.Second, "r1/79 r2/21", "r2*/100")
	check(0, "r1/79 r2/20 r3/1", "r3*/100") // another one meanwhile
	check(time.Second, "r1/79 r2/10 r3/11", "r3*/100")
	check(time.Second, "r1/79 r3/21", "r3*/100")
	check(0, "r1/29 r3/21 fix/50", "r3*/50", "fix/50") // less for all of it comes from the oldest
	check(0, "r1/29 r3/71", "r3*/100")
	check(0, "r3/71 r1/29", "r1*/100") // back to the former
	for range 7 {
		r.now = r.now.Add(time.Second)
		r.to("r1*/100")
	}
	check(time.Second, "r1/100", "r1*/100")
	if !r.due.IsZero() || len(r.paces) != 0 {
		t.Errorf("it is over, and a step is due at %v", r.due)
	}
}

func TestRollOutGoesOnAfterAStart(t *testing.T) {
	r := newRolling("1m")
	r.to("r1*/100")
	r.to("r2*/100")
	r.paces = nil
	if got := r.to("r2*/100"); got != "r1/99 r2/1" || r.due.IsZero() {
		t.Errorf("%s, the next step is at %v", got, r.due)
	}
	r.now = r.due
	if got := r.to("r2*/100"); got != "r1/97 r2/3" {
		t.Errorf("%s", got)
	}
}

func TestRollOutOfWhatIsNoRollout(t *testing.T) {
	r := newRolling("1m")
	r.to("r1*/1", "fix/99")
	if got := r.to("r2*/1", "fix/99"); got != "r2/1 fix/99" {
		t.Errorf("one percent has no steps: %s", got)
	}
	r.to("fix/100")
	if got := r.to("other/100"); got != "other/100" {
		t.Errorf("a named revision has no steps: %s", got)
	}
	r.route.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: "gone", Percent: share(100), LatestRevision: new(bool)}}
	*r.route.Status.Traffic[0].LatestRevision = true
	if got := r.to("r2*/100"); got != "r2/100" {
		t.Errorf("there is nothing to come from: %s", got)
	}
}

func TestServiceIsRolledOut(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", func(svc *servingv1.Service) { svc.Annotations[serving.RolloutDurationKey] = "10h" })
	p.awaitReady("hello")
	p.update("hello", image("registry.example/hello:2"))
	awaitCondition[*servingv1.Service](p, "default", "hello", "RoutesReady", corev1.ConditionUnknown, "RolloutInProgress", "A gradual rollout")
	if got := p.get("hello").Status.Traffic; len(got) != 2 || *got[0].Percent != 99 || got[1].RevisionName != "hello-00002" {
		t.Errorf("%+v", got)
	}
	p.update("hello", func(svc *servingv1.Service) { delete(svc.Annotations, serving.RolloutDurationKey) })
	if svc := p.awaitReady("hello"); len(svc.Status.Traffic) != 1 || svc.Status.Traffic[0].RevisionName != "hello-00002" {
		t.Errorf("%+v", svc.Status.Traffic)
	}
}
