package deploy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

func image(n string) string { return "reg.example/fn@sha256:" + strings.Repeat(n, 64) }

// spec is a deploy of image n.
func spec(n string) Spec {
	return Spec{Service: "fn", Image: image(n), UserImage: "reg.example/fn:latest"}
}

func options() Options { return Options{Now: time.Now, Report: &progresstest.Recorder{}} }

// run deploys and fails the test when that fails.
func run(t *testing.T, c *cluster, s Spec) *Result {
	t.Helper()
	r, err := Run(t.Context(), c, s, options())
	if err != nil {
		t.Fatalf("deploy of %s: %v\n%s", s.Image, err, fault.HintOf(err))
	}
	return r
}

// only gives one revision a state and all others True.
func only(name string, state corev1.ConditionStatus) func(*servingv1.Revision) corev1.ConditionStatus {
	return func(r *servingv1.Revision) corev1.ConditionStatus {
		if r.Name == name {
			return state
		}
		return corev1.ConditionTrue
	}
}

// split is what serves, by name.
func split(svc *servingv1.Service) string {
	named, _ := knative.Snapshot(svc).Pinned()
	return named.String()
}

func TestDeployTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first := run(t, c, spec("1"))
		if first.Outcome != Created || first.Revision != "fn-v1" || first.URL == "" || !first.Ready {
			t.Errorf("first = %+v", first)
		}
		second := run(t, c, spec("2"))
		if second.Outcome != Updated || second.Revision != "fn-v2" {
			t.Errorf("second = %+v", second)
		}
		if got := split(c.service); got != "fn-v2=100" {
			t.Errorf("split %s", got)
		}
		if _, left := c.service.Annotations[traffic.DeployKey]; left {
			t.Error("the record of the deploy is still there")
		}
	})
}

// TestNothingUnreadyServes looks at every state that was ever stored: while
// fn-v2 was not ready it had no share.
func TestNothingUnreadyServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		c.set(only("fn-v2", corev1.ConditionUnknown))
		becomes := time.AfterFunc(5*time.Second, func() {
			c.mu.Lock()
			unready := len(c.history)
			c.mu.Unlock()
			for _, s := range c.history[:unready] {
				if knative.Split(s.Spec.Traffic).Percent("fn-v2", "") != 0 {
					t.Errorf("split %s before fn-v2 was ready", split(s))
				}
			}
			c.set(nil)
		})
		defer becomes.Stop()
		run(t, c, spec("2"))
		for _, s := range c.history {
			if sum := knative.Split(s.Spec.Traffic).Sum(); sum != 100 {
				t.Errorf("a state sums to %d: %s", sum, split(s))
			}
		}
	})
}

func TestFailureBringsBackTheFormerState(t *testing.T) {
	latest := true
	hundred := int64(100)
	tests := []struct {
		name    string
		prepare func(*servingv1.Service) // somebody else's doing before the deploy
		project *Project
	}{
		{"as kn-lite left it", func(*servingv1.Service) {}, nil},
		{"following the latest revision", func(s *servingv1.Service) {
			s.Spec.Traffic = []servingv1.TrafficTarget{{LatestRevision: &latest, Percent: &hundred}}
		}, nil},
		{"with tags and labels", func(s *servingv1.Service) {
			s.Spec.Traffic = append(s.Spec.Traffic, servingv1.TrafficTarget{Tag: "newest", LatestRevision: &latest})
			s.Labels = map[string]string{"team": "a"}
		}, &Project{Labels: map[string]string{"team": "b", "new": "yes"}, Annotations: map[string]string{"note": "x"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				run(t, c, spec("1"))
				touched := c.service.DeepCopy()
				tt.prepare(touched)
				if _, err := c.UpdateService(t.Context(), touched, false); err != nil {
					t.Fatal(err)
				}
				before := c.service.DeepCopy()
				c.set(only("fn-v2", corev1.ConditionFalse))
				s := spec("2")
				s.Project = tt.project
				_, err := Run(t.Context(), c, s, options())
				if fault.KindOf(err) != fault.Partial {
					t.Fatalf("error %v, want Partial", err)
				}
				for _, want := range []string{"fn is as before", "fn-v2 gets no traffic"} {
					if !strings.Contains(fault.HintOf(err), want) {
						t.Errorf("hint %q does not say %q", fault.HintOf(err), want)
					}
				}
				if diff := cmp.Diff(before.Spec, c.service.Spec); diff != "" {
					t.Errorf("spec (-before +after):\n%s", diff)
				}
				if diff := cmp.Diff(metadata(before), metadata(c.service)); diff != "" {
					t.Errorf("labels and annotations (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestUnchangedWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		s := spec("1")
		s.Project = &Project{Runtime: "go", Env: []Var{{Name: "A", Value: "1"}}, Limits: map[string]string{"memory": "128Mi"}, Readiness: "/ready"}
		run(t, c, s)
		writes := c.writes
		s.UserImage = "reg.example/fn:another-name-of-the-same"
		s.Project.Limits["memory"] = "131072Ki" // the same amount
		r := run(t, c, s)
		if r.Outcome != Unchanged || r.Revision != "fn-v1" || c.writes != writes {
			t.Errorf("outcome %s, revision %s, %d writes", r.Outcome, r.Revision, c.writes-writes)
		}
	})
}

// TestUnchangedKeepsTheSplit: deploying what is there does not overrule what
// was decided about the traffic since.
func TestUnchangedKeepsTheSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		s := spec("2")
		s.Traffic = traffic.Shift{Partial: true, Share: 50}
		run(t, c, s)
		r := run(t, c, spec("2"))
		if r.Outcome != Unchanged || split(c.service) != "fn-v1=50 fn-v2=50" {
			t.Errorf("outcome %s, split %s", r.Outcome, split(c.service))
		}
		s.Traffic.Share = 75
		if r := run(t, c, s); r.Outcome != Moved || split(c.service) != "fn-v1=25 fn-v2=75" {
			t.Errorf("an explicit share: outcome %s, split %s", r.Outcome, split(c.service))
		}
	})
}

func TestTrafficModes(t *testing.T) {
	tests := []struct {
		name    string
		traffic traffic.Shift
		tag     string
		want    string
	}{
		{"all", traffic.Shift{}, "", "fn-v2=100"},
		{"none", traffic.Shift{Keep: true}, "", "fn-v1=100"},
		{"none, tagged", traffic.Shift{Keep: true}, "next", "fn-v1=100 fn-v2(next)=0"},
		{"a tenth", traffic.Shift{Partial: true, Share: 10}, "", "fn-v1=90 fn-v2=10"},
		{"all, tagged", traffic.Shift{}, "next", "fn-v2=100 fn-v2(next)=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, noWait := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					c := newCluster()
					run(t, c, spec("1"))
					s := spec("2")
					s.Traffic, s.Tag = tt.traffic, tt.tag
					o := options()
					o.NoWait = noWait
					if _, err := Run(t.Context(), c, s, o); err != nil {
						t.Fatal(err)
					}
					if got := split(c.service); got != tt.want {
						t.Errorf("no-wait %v: split %s, want %s", noWait, got, tt.want)
					}
				})
			}
		})
	}
}

// TestNumbersAreNotReused: another deploy takes the number that this one meant
// to have; this one reads again and takes the next.
func TestNumbersAreNotReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		c.beforeWrite = func() { run(t, c, spec("7")) }
		r := run(t, c, spec("2"))
		if r.Revision != "fn-v3" || c.revisions["fn-v2"].Spec.Containers[0].Image != image("7") {
			t.Errorf("this deploy made %s; fn-v2 has %s", r.Revision, c.revisions["fn-v2"].Spec.Containers[0].Image)
		}
	})
}

// TestOvertaken has two deploys under way: each reports its own revision, and
// the earlier one never goes behind the later.
func TestOvertaken(t *testing.T) {
	type outcome struct {
		r   *Result
		err error
	}
	tests := []struct {
		name          string
		second, third corev1.ConditionStatus // what becomes of fn-v2 and fn-v3
		kinds         [2]fault.Kind          // of their errors; -1: none
		want          string
		template      string
	}{
		{"both good", corev1.ConditionTrue, corev1.ConditionTrue, [2]fault.Kind{-1, -1}, "fn-v3=100", "fn-v3"},
		{"earlier bad", corev1.ConditionFalse, corev1.ConditionTrue, [2]fault.Kind{fault.Partial, -1}, "fn-v3=100", "fn-v3"},
		{"later bad", corev1.ConditionTrue, corev1.ConditionFalse, [2]fault.Kind{-1, fault.Partial}, "fn-v2=100", "fn-v2"},
		{"both bad", corev1.ConditionFalse, corev1.ConditionFalse, [2]fault.Kind{fault.Partial, fault.Partial}, "fn-v1=100", "fn-v1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				run(t, c, spec("1"))
				state := map[string]corev1.ConditionStatus{"fn-v1": corev1.ConditionTrue, "fn-v2": corev1.ConditionUnknown, "fn-v3": corev1.ConditionUnknown}
				fate := func(r *servingv1.Revision) corev1.ConditionStatus { return state[r.Name] }
				c.set(fate)
				start := func(s Spec) chan outcome {
					done := make(chan outcome, 1)
					go func() {
						r, err := Run(context.WithoutCancel(t.Context()), c, s, options())
						done <- outcome{r, err}
					}()
					synctest.Wait()
					return done
				}
				second := start(spec("2"))
				third := start(spec("3"))
				next := map[string]corev1.ConditionStatus{"fn-v1": corev1.ConditionTrue, "fn-v2": tt.second, "fn-v3": corev1.ConditionUnknown}
				c.set(func(r *servingv1.Revision) corev1.ConditionStatus { return next[r.Name] })
				time.Sleep(15 * time.Second)
				last := map[string]corev1.ConditionStatus{"fn-v1": corev1.ConditionTrue, "fn-v2": tt.second, "fn-v3": tt.third}
				c.set(func(r *servingv1.Revision) corev1.ConditionStatus { return last[r.Name] })
				for i, done := range []chan outcome{second, third} {
					o := <-done
					kind := fault.Kind(-1)
					if o.err != nil {
						kind = fault.KindOf(o.err)
					}
					if kind != tt.kinds[i] {
						t.Errorf("deploy %d ended with %v (%v), want %v", i+2, kind, o.err, tt.kinds[i])
					}
					if name := numbered("fn", i+2); o.err == nil && o.r.Revision != name || o.err != nil && !strings.Contains(o.err.Error(), name) {
						t.Errorf("deploy %d reports another revision: %+v %v", i+2, o.r, o.err)
					}
				}
				if got := split(c.service); got != tt.want || c.service.Status.LatestCreatedRevisionName != tt.template || c.service.Spec.Template.Name != "" {
					t.Errorf("split %s, template of %s named %q; want %s, %s", got, c.service.Status.LatestCreatedRevisionName, c.service.Spec.Template.Name, tt.want, tt.template)
				}
				if recordOf(c.service) != nil {
					t.Error("a record is left")
				}
			})
		})
	}
}

func TestInterruptResumeAbort(t *testing.T) {
	interrupt := func(t *testing.T) (*cluster, *servingv1.Service) {
		t.Helper()
		c := newCluster()
		run(t, c, spec("1"))
		before := c.service.DeepCopy()
		c.set(only("fn-v2", corev1.ConditionUnknown))
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(3*time.Second, cancel)
		defer stop.Stop()
		_, err := Run(ctx, c, spec("2"), options())
		cancel()
		hint := fault.HintOf(err)
		for _, want := range []string{"fn-v2 was created", "traffic stays as it was: fn-v1=100", "run the same command again", "deploy {Abort}"} {
			if err == nil || !strings.Contains(hint, want) {
				t.Errorf("hint %q does not say %q (%v)", hint, want, err)
			}
		}
		return c, before
	}
	t.Run("resume", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := interrupt(t)
			c.set(nil)
			r := run(t, c, spec("2"))
			if r.Revision != "fn-v2" || split(c.service) != "fn-v2=100" || len(c.revisions) != 2 {
				t.Errorf("resumed to %s, split %s, %d revisions", r.Revision, split(c.service), len(c.revisions))
			}
		})
	})
	t.Run("abort", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, before := interrupt(t)
			if _, err := Abort(t.Context(), c, "fn", &progresstest.Recorder{}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before.Spec, c.service.Spec); diff != "" {
				t.Errorf("spec (-before +after):\n%s", diff)
			}
			if _, err := Abort(t.Context(), c, "fn", &progresstest.Recorder{}); fault.KindOf(err) != fault.NotFound {
				t.Errorf("a second abort: %v, want NotFound", err)
			}
		})
	})
	t.Run("another deploy instead", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, before := interrupt(t)
			c.set(func(r *servingv1.Revision) corev1.ConditionStatus {
				return map[string]corev1.ConditionStatus{"fn-v1": corev1.ConditionTrue, "fn-v2": corev1.ConditionUnknown, "fn-v3": corev1.ConditionFalse}[r.Name]
			})
			if _, err := Run(t.Context(), c, spec("3"), options()); fault.KindOf(err) != fault.Partial {
				t.Fatalf("error %v, want Partial", err)
			}
			// Not back to fn-v2, which never worked, but to what did.
			if diff := cmp.Diff(before.Spec, c.service.Spec); diff != "" {
				t.Errorf("spec (-before +after):\n%s", diff)
			}
		})
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		before := c.service.DeepCopy()
		c.set(only("fn-v2", corev1.ConditionUnknown))
		start := time.Now()
		o := options()
		o.Timeout = 30 * time.Second
		_, err := Run(t.Context(), c, spec("2"), o)
		if fault.KindOf(err) != fault.Timeout {
			t.Fatalf("error %v, want Timeout", err)
		}
		if took := time.Since(start); took != o.Timeout {
			t.Errorf("it took %s", took)
		}
		if diff := cmp.Diff(before.Spec, c.service.Spec); diff != "" {
			t.Errorf("spec (-before +after):\n%s", diff)
		}
	})
}

// TestRouteFails: the revision is ready, and the route does not take it up.
func TestRouteFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		before := c.service.DeepCopy()
		c.routes = false
		_, err := Run(t.Context(), c, spec("2"), options())
		if fault.KindOf(err) != fault.RolledBack {
			t.Fatalf("error %v, want RolledBack", err)
		}
		if diff := cmp.Diff(before.Spec, c.service.Spec); diff != "" {
			t.Errorf("spec (-before +after):\n%s", diff)
		}
		if !strings.Contains(fault.HintOf(err), "ingress") {
			t.Errorf("hint %q does not speak of the ingress", fault.HintOf(err))
		}
	})
}

// TestFailedRevisionIsTriedAgain: Knative never does, so the same content gets
// a new revision.
func TestFailedRevisionIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.fate = only("fn-v1", corev1.ConditionFalse)
		_, err := Run(t.Context(), c, spec("1"), options())
		if fault.KindOf(err) != fault.Partial || !strings.Contains(fault.HintOf(err), "nothing serves fn yet") {
			t.Fatalf("first deploy: %v (%s)", err, fault.HintOf(err))
		}
		if r := run(t, c, spec("1")); r.Revision != "fn-v2" || split(c.service) != "fn-v2=100" {
			t.Errorf("revision %s, split %s", r.Revision, split(c.service))
		}
	})
}

func TestNamedRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		s := spec("2")
		s.Revision = "blue"
		if r := run(t, c, s); r.Revision != "fn-blue" {
			t.Errorf("revision %s", r.Revision)
		}
		s.Image = image("3")
		if _, err := Run(t.Context(), c, s, options()); fault.KindOf(err) != fault.Conflict {
			t.Errorf("the same name for another content: %v, want Conflict", err)
		}
		if r := run(t, c, spec("4")); r.Revision != "fn-v2" {
			t.Errorf("after blue comes %s", r.Revision)
		}
	})
}

// TestLostRace: others write all the time; the deploy gives up in the end and
// says that nothing was changed.
func TestLostRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		busy := &contended{cluster: c}
		_, err := Run(t.Context(), busy, spec("2"), options())
		if fault.KindOf(err) != fault.Conflict || busy.tries < 10 {
			t.Errorf("after %d tries: %v", busy.tries, err)
		}
	})
}

// contended loses every race.
type contended struct {
	*cluster
	tries int
}

func (c *contended) UpdateService(context.Context, *servingv1.Service, bool) (*servingv1.Service, error) {
	c.tries++
	return nil, &fault.Error{Kind: fault.Conflict, Err: errors.New("the object has been modified")}
}

// TestSameShareAgain: what a pipeline repeats writes nothing the second time.
func TestSameShareAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		s := spec("2")
		s.Traffic, s.Tag = traffic.Shift{Partial: true, Share: 10}, "next"
		if r := run(t, c, s); r.Outcome != Updated || r.Split.String() != "fn-v1=90 fn-v2(next)=10" {
			t.Fatalf("%s, %s", r.Outcome, r.Split)
		}
		before := c.writes
		if r := run(t, c, s); r.Outcome != Unchanged || c.writes != before {
			t.Errorf("again: %s, %s, %d writes", r.Outcome, r.Split, c.writes-before)
		}
	})
}
