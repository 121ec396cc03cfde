package deploy

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// large is a service with 200 KB of variables and kubectl's own copy of it,
// whose revision has been changed on its way by an admission webhook.
func large(t *testing.T) *cluster {
	t.Helper()
	c := newCluster()
	run(t, c, spec("1"))
	svc := c.service.DeepCopy()
	for i := range 10 {
		svc.Spec.Template.Spec.Containers[0].Env = append(svc.Spec.Template.Spec.Containers[0].Env,
			corev1.EnvVar{Name: fmt.Sprintf("V%d", i), Value: strings.Repeat("v", 20<<10)})
	}
	svc.Annotations = put(svc.Annotations, corev1.LastAppliedConfigAnnotation, strings.Repeat("a", 205<<10))
	svc, err := c.UpdateService(t.Context(), svc, false)
	if err != nil {
		t.Fatal(err)
	}
	c.revisions[svc.Status.LatestCreatedRevisionName].Spec.NodeSelector = map[string]string{"webhook": "was-here"}
	return c
}

// TestLargeTemplate: what cannot be noted on the service stops no deploy of it.
func TestLargeTemplate(t *testing.T) {
	warned := func(q *progresstest.Recorder) bool {
		return strings.Contains(strings.Join(q.Lines(), "\n"), "warn the annotations of fn")
	}
	t.Run("again and again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := large(t)
			for _, n := range []string{"2", "3", "4"} {
				o, said := options(), &progresstest.Recorder{}
				o.Report = said
				r, err := Run(t.Context(), c, spec(n), o)
				if err != nil || c.service.Spec.Template.Spec.Containers[0].Image != image(n) || split(c.service) != r.Revision+"=100" {
					t.Fatalf("%v, split %s", err, split(c.service))
				}
				if warned(said) != (n == "2") {
					t.Errorf("deploy %s: %q", n, said.Lines())
				}
			}
		})
	})
	t.Run("fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := large(t)
			before := c.service.DeepCopy()
			c.set(only("fn-v2", corev1.ConditionFalse))
			if _, err := Run(t.Context(), c, spec("2"), options()); fault.KindOf(err) != fault.Partial {
				t.Fatalf("error %v, want Partial", err)
			}
			if diff := cmp.Diff(before.Spec.Template, c.service.Spec.Template); diff != "" || recordOf(c.service) != nil {
				t.Errorf("template (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(metadata(before), metadata(c.service)); diff != "" {
				t.Errorf("labels and annotations (-before +after):\n%s", diff)
			}
		})
	})
	t.Run("is interrupted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := large(t)
			c.set(only("fn-v2", corev1.ConditionUnknown))
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(3*time.Second, cancel).Stop()
			_, err := Run(ctx, c, spec("2"), options())
			if hint := fault.HintOf(err); !strings.Contains(hint, "run the same command again") || strings.Contains(hint, "{Abort}") {
				t.Errorf("hint %q", hint)
			}
			if _, err := Abort(t.Context(), c, "fn", &progresstest.Recorder{}); fault.KindOf(err) != fault.Conflict {
				t.Errorf("abort: %v, want Conflict", err)
			}
			c.set(nil)
			if r := run(t, c, spec("2")); split(c.service) != r.Revision+"=100" || recordOf(c.service) != nil {
				t.Errorf("split %s", split(c.service))
			}
		})
	})
}

// TestMetadataComesBack: what a failed deploy has changed of labels and
// annotations is as before; what it has not changed is not its business.
func TestMetadataComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		s := spec("1")
		s.Project = &Project{Labels: map[string]string{"tier": "web", "old": "x"}, Annotations: map[string]string{"team": "a"}}
		run(t, c, s)
		before := c.service.DeepCopy()
		c.set(only("fn-v2", corev1.ConditionFalse))
		s = spec("2")
		s.Project = &Project{Labels: map[string]string{"tier": "api", "new": "y"}, Annotations: map[string]string{"squad": "b"}}
		if _, err := Run(t.Context(), c, s, options()); fault.KindOf(err) != fault.Partial {
			t.Fatalf("error %v, want Partial", err)
		}
		if diff := cmp.Diff(metadata(before), metadata(c.service)); diff != "" {
			t.Errorf("labels and annotations (-before +after):\n%s", diff)
		}
	})
}

// TestAbortAfterAnotherDeploy: what somebody else has deployed gets its traffic
// when the deploy before it is given up, as soon as it is ready.
func TestAbortAfterAnotherDeploy(t *testing.T) {
	for _, ready := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			apply(t, c, "one")
			c.set(only("fn-v1", corev1.ConditionUnknown))
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(3*time.Second, cancel).Stop()
			if _, err := Run(ctx, c, spec("2"), options()); err == nil {
				t.Fatal("it was not interrupted")
			}
			c.set(func(r *servingv1.Revision) corev1.ConditionStatus {
				if r.Name == "fn-v1" || r.Name == "fn-00001" {
					return corev1.ConditionTrue
				}
				return corev1.ConditionUnknown
			})
			apply(t, c, "three")
			if ready {
				time.AfterFunc(10*time.Second, func() { c.set(nil) })
			}
			want, said := "fn-00001=100", &progresstest.Recorder{}
			if _, err := Abort(t.Context(), c, "fn", said); err != nil {
				t.Fatal(err)
			}
			if ready {
				want = c.service.Status.LatestCreatedRevisionName + "=100"
			}
			warned := strings.Contains(strings.Join(said.Lines(), "\n"), "to follow again")
			if split(c.service) != want || warned == ready || recordOf(c.service) != nil {
				t.Errorf("theirs is ready: %v: split %s, warned %v", ready, split(c.service), warned)
			}
		})
	}
}
