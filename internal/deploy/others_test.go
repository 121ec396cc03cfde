package deploy

import (
	"context"
	"maps"
	"slices"
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

// apply is another tool: it writes a template without a name and a mutable
// image tag, and says nothing of traffic.
func apply(t *testing.T, c *cluster, answer string) {
	t.Helper()
	svc, err := c.FindService(t.Context(), "fn")
	if err != nil {
		t.Fatal(err)
	}
	write := c.UpdateService
	if svc == nil {
		svc, write = &servingv1.Service{}, c.CreateService
		svc.Name = "fn"
	}
	svc.Spec.Template.Spec.Containers = []corev1.Container{{Image: "reg.example/fn:latest", Env: []corev1.EnvVar{{Name: "ANSWER", Value: answer}}}}
	if _, err := write(t.Context(), svc, false); err != nil {
		t.Fatalf("another tool is refused: %v", err)
	}
}

func names(c *cluster) string { return strings.Join(slices.Sorted(maps.Keys(c.revisions)), " ") }

// TestFailureOnAnothersService: nothing new is made of the former template,
// and the other tool goes on as if there had been no deploy.
func TestFailureOnAnothersService(t *testing.T) {
	for _, blind := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			apply(t, c, "one")
			before := c.service.DeepCopy()
			c.set(only("fn-v1", corev1.ConditionFalse))
			undone := time.AfterFunc(500*time.Millisecond, func() { c.mu.Lock(); c.blind = blind; c.mu.Unlock() })
			defer undone.Stop()
			if _, err := Run(t.Context(), c, spec("2"), options()); fault.KindOf(err) != fault.Partial {
				t.Fatalf("error %v, want Partial", err)
			}
			if diff := cmp.Diff(before.Spec, c.service.Spec); diff != "" {
				t.Errorf("spec (-before +after):\n%s", diff)
			}
			if names(c) != "fn-00001 fn-v1" {
				t.Errorf("blind %v: revisions %s", blind, names(c))
			}
			for _, s := range c.history {
				if s.Status.Traffic[0].RevisionName != "fn-00001" {
					t.Errorf("%s served", s.Status.Traffic[0].RevisionName)
				}
			}
			if c.disowned == 0 {
				t.Error("fields of the service are still owned")
			}
			c.set(nil)
			if split(c.service) != "fn-00001=100" {
				t.Errorf("the failed revision became ready, and the split is %s", split(c.service))
			}
			apply(t, c, "two")
			if created := c.service.Status.LatestCreatedRevisionName; created == "fn-00001" || split(c.service) != created+"=100" {
				t.Errorf("the other tool's next revision is %s, the split %s", created, split(c.service))
			}
		})
	}
}

// TestOthersGoOnAfterADeploy: whatever a deploy asked for, the template has no
// name, and a service that followed the latest revision follows it again.
func TestOthersGoOnAfterADeploy(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*Spec, *Options)
		revises string
		after   string // another tool has applied its next template
	}{
		{"all", func(*Spec, *Options) {}, "fn-v1", "fn-00004=100"},
		{"not waited for", func(_ *Spec, o *Options) { o.NoWait = true }, "fn-v1", "fn-00004=100"},
		{"named", func(s *Spec, _ *Options) { s.Revision = "blue" }, "fn-blue", "fn-00004=100"},
		{"a tenth", func(s *Spec, _ *Options) { s.Traffic = traffic.Shift{Partial: true, Share: 10} }, "fn-v1", "fn-00001=90 fn-v1=10"},
		{"none", func(s *Spec, _ *Options) { s.Traffic, s.Tag = traffic.Shift{Keep: true}, "t" }, "fn-v1", "fn-00001=100 fn-v1(t)=0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				apply(t, c, "one")
				s, o := spec("2"), options()
				tt.change(&s, &o)
				r, err := Run(t.Context(), c, s, o)
				if err != nil {
					t.Fatal(err)
				}
				if r.Revision != tt.revises || c.service.Spec.Template.Name != "" || c.service.Status.LatestCreatedRevisionName != r.Revision {
					t.Errorf("revision %s, template named %q, latest %s", r.Revision, c.service.Spec.Template.Name, c.service.Status.LatestCreatedRevisionName)
				}
				if len(c.revisions) != 2 {
					t.Errorf("revisions %s", names(c))
				}
				apply(t, c, "two")
				if got := split(c.service); got != tt.after {
					t.Errorf("then the split is %s, want %s", got, tt.after)
				}
			})
		})
	}
}

// TestNotAllowedToLabel: the deploy works, and says what others have to do.
func TestNotAllowedToLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		apply(t, c, "one")
		c.denied = fault.New(fault.Auth, "fake", "revision/fn-v1", "not permitted to patch revisions")
		o := options()
		if _, err := Run(t.Context(), c, spec("2"), o); err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(o.Report.(*progresstest.Recorder).Lines(), "\n"); !strings.Contains(said, "warn the template of the service keeps the name fn-v1: revision/fn-v1: not permitted to patch revisions") {
			t.Errorf("it said\n%s", said)
		}
		c.set(only("fn-v2", corev1.ConditionFalse))
		_, err := Run(t.Context(), c, spec("3"), options())
		if fault.KindOf(err) != fault.Partial || split(c.service) != "fn-v1=100" || names(c) != "fn-00001 fn-v1 fn-v2" {
			t.Errorf("%v; split %s, revisions %s", err, split(c.service), names(c))
		}
	})
}

// hasty is a cluster where another tool writes its template, without a name,
// right after the deploy has taken the name out, before a controller looks.
type hasty struct {
	*cluster
	t    *testing.T
	done bool
}

func (h *hasty) UpdateService(ctx context.Context, svc *servingv1.Service, dryRun bool) (*servingv1.Service, error) {
	if h.done || svc.Spec.Template.Name != "" {
		return h.cluster.UpdateService(ctx, svc, dryRun)
	}
	h.done = true
	h.asleep = true
	written, err := h.cluster.UpdateService(ctx, svc, dryRun)
	apply(h.t, h.cluster, "in between")
	h.asleep = false
	h.set(nil)
	return written, err
}

// TestTheLabelSwallowsNobody: the label that is meant for this deploy's
// revision never makes Knative take another tool's template for it.
func TestTheLabelSwallowsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		apply(t, c, "one")
		h := &hasty{cluster: c, t: t}
		if _, err := Run(t.Context(), h, spec("2"), options()); err != nil {
			t.Fatal(err)
		}
		if !h.done {
			t.Fatal("nobody wrote in between")
		}
		latest := c.revisions[c.service.Status.LatestCreatedRevisionName]
		if env := latest.Spec.Containers[0].Env; len(env) != 1 || env[0].Value != "in between" {
			t.Errorf("the latest revision is %s with %v; all: %s", latest.Name, env, names(c))
		}
	})
}

// TestAbortKeepsALaterSplit: what somebody has decided since is no part of the deploy.
func TestAbortKeepsALaterSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		run(t, c, spec("1"))
		run(t, c, spec("2"))
		c.set(only("fn-v3", corev1.ConditionUnknown))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		if _, err := Run(ctx, c, spec("3"), options()); err == nil || recordOf(c.service) == nil {
			t.Fatalf("error %v, record %v", err, recordOf(c.service))
		}
		decided := c.service.DeepCopy()
		decided.Spec.Traffic = knative.Targets(traffic.Split{{Revision: "fn-v1", Percent: 50}, {Revision: "fn-v2", Percent: 50}})
		if _, err := c.UpdateService(t.Context(), decided, false); err != nil {
			t.Fatal(err)
		}
		if _, err := Abort(t.Context(), c, "fn", &progresstest.Recorder{}); err != nil {
			t.Fatal(err)
		}
		if recordOf(c.service) != nil || c.service.Status.LatestCreatedRevisionName != "fn-v2" || split(c.service) != "fn-v1=50 fn-v2=50" {
			t.Errorf("latest %s, split %s", c.service.Status.LatestCreatedRevisionName, split(c.service))
		}
	})
}

func TestGradualRolloutStaysAsItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		apply(t, c, "one")
		apply(t, c, "two")
		yes := true
		old, young := int64(94), int64(6)
		c.service.Status.Traffic = []servingv1.TrafficTarget{
			{RevisionName: "fn-00001", LatestRevision: &yes, Percent: &old}, {RevisionName: "fn-00002", LatestRevision: &yes, Percent: &young},
		}
		s := spec("3")
		s.Traffic = traffic.Shift{Keep: true}
		run(t, c, s)
		if got := split(c.service); got != "fn-00001=94 fn-00002=6" {
			t.Errorf("split %s", got)
		}
	})
}

// TestDuplicateTargets: Knative waits for ever for a split with two lines for
// one place; a deploy writes one.
func TestDuplicateTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		apply(t, c, "one")
		half := int64(50)
		svc := c.service.DeepCopy()
		svc.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "fn-00001", Percent: &half}, {RevisionName: "fn-00001", Percent: &half}}
		if _, err := c.UpdateService(t.Context(), svc, false); err != nil {
			t.Fatal(err)
		}
		s := spec("2")
		s.Traffic = traffic.Shift{Keep: true}
		run(t, c, s)
		if len(c.service.Spec.Traffic) != 1 || split(c.service) != "fn-00001=100" {
			t.Errorf("split %s in %d lines", split(c.service), len(c.service.Spec.Traffic))
		}
	})
}

// TestSameRevisionAgain: a release tool goes back to a revision by its name.
func TestSameRevisionAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		for _, n := range []string{"1", "2", "1"} {
			s := spec(n)
			s.Revision = "sha-" + n
			if r := run(t, c, s); r.Revision != "fn-sha-"+n || split(c.service) != "fn-sha-"+n+"=100" {
				t.Errorf("revision %s, split %s", r.Revision, split(c.service))
			}
		}
		if len(c.revisions) != 2 {
			t.Errorf("revisions %s", names(c))
		}
	})
}

// TestLongServiceNames: no name that begins with the service's fits, so
// Knative's own is taken, and all else is as ever.
func TestLongServiceNames(t *testing.T) {
	for _, length := range []int{61, 63} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			long := func(n string) Spec {
				s := spec(n)
				s.Service = strings.Repeat("n", length)
				return s
			}
			if r := run(t, c, long("1")); r.Revision != "fn-00001" || r.Outcome != Created {
				t.Errorf("first: %+v", r)
			}
			if r := run(t, c, long("2")); r.Revision != "fn-00002" || split(c.service) != "fn-00002=100" {
				t.Errorf("second: %s, split %s", r.Revision, split(c.service))
			}
			before := c.service.DeepCopy()
			c.set(only("fn-00003", corev1.ConditionFalse))
			if _, err := Run(t.Context(), c, long("3"), options()); fault.KindOf(err) != fault.Partial {
				t.Fatalf("error %v, want Partial", err)
			}
			if diff := cmp.Diff(before.Spec, c.service.Spec); diff != "" || recordOf(c.service) != nil {
				t.Errorf("spec (-before +after):\n%s", diff)
			}
			o := options()
			o.NoWait = true
			c.set(nil)
			s := long("4")
			s.Traffic = traffic.Shift{Partial: true, Share: 10}
			if _, err := Run(t.Context(), c, s, o); err != nil || split(c.service) != "fn-00002=90 fn-00005=10" {
				t.Errorf("%v, split %s", err, split(c.service))
			}
		})
	}
}

// TestRefusedBeforeTheFirstWrite: a plan whose last step would fail writes nothing.
func TestRefusedBeforeTheFirstWrite(t *testing.T) {
	tests := []struct {
		name    string
		traffic traffic.Split // of the service
		change  func(*Spec)
		kind    fault.Kind
		says    string
	}{
		{"a tag that is no label", nil, func(s *Spec) { s.Tag = "Next_1" }, fault.Usage, "not a DNS 1035 label"},
		{"a secret that is not there", nil, func(s *Spec) {
			s.Project = &Project{Env: []Var{{Name: "P", From: SecretKey, Object: "none", Key: "k"}}}
		}, fault.NotFound, "secret/none"},
		{"a tag of a revision that is gone", traffic.Split{{Latest: true, Percent: 100}, {Revision: "fn-gone", Tag: "old"}}, func(*Spec) {}, fault.Conflict, "fn-gone"},
		{"a tag of a revision that has failed", traffic.Split{{Latest: true, Percent: 100}, {Revision: "fn-bad", Tag: "old"}}, func(*Spec) {}, fault.Conflict, "fn-bad"},
		{"a share for one that is gone", traffic.Split{{Revision: "fn-gone", Percent: 100}}, func(s *Spec) { s.Traffic = traffic.Shift{Partial: true, Share: 10} }, fault.Conflict, "fn-gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				run(t, c, spec("1"))
				c.fate = only("fn-bad", corev1.ConditionFalse)
				c.absent = []string{"secret/none"}
				c.revisions["fn-bad"] = &servingv1.Revision{}
				c.revisions["fn-bad"].Name = "fn-bad"
				if tt.traffic != nil {
					c.service.Spec.Traffic = knative.Targets(tt.traffic)
				}
				c.set(c.fate)
				writes := c.writes
				s := spec("2")
				tt.change(&s)
				_, err := Run(t.Context(), c, s, options())
				if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) || c.writes != writes {
					t.Errorf("error %v (%v), %d writes", err, fault.KindOf(err), c.writes-writes)
				}
			})
		})
	}
}

func TestCheckNames(t *testing.T) {
	tests := []struct{ service, revision, tag, says string }{
		{"fn", "", "", ""},
		{"fn", "blue", "next", ""},
		{"fn", "fn-blue", "a1", ""},
		{"fn", "Blue", "", "Blue"},
		{"fn", "", "Next_1", "Next_1"},
		{"fn", "", "1a", "1a"},
		{strings.Repeat("n", 60), "", "next", "65 characters"},
		{strings.Repeat("n", 61), "v1", "", "63 characters"},
	}
	for _, tt := range tests {
		err := CheckNames(tt.service, tt.revision, tt.tag)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %s %s: %v", tt.service, tt.revision, tt.tag, err)
		}
	}
}

// TestMissingPullSecret: a public image is pulled without it, so it is no reason
// to refuse.
func TestMissingPullSecret(t *testing.T) {
	c := newCluster()
	c.absent = []string{"secret/none"}
	s := spec("1")
	s.Project = &Project{ImagePullSecret: "none"}
	var warnings []string
	err := Preflight(t.Context(), c, s, func(text string) { warnings = append(warnings, text) })
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "none is not in namespace ns") {
		t.Errorf("error %v, warnings %q", err, warnings)
	}
}

// speechless is a cluster whose configurations cannot be read for a while.
type speechless struct {
	*cluster
	until time.Time
}

func (s *speechless) FindConfiguration(ctx context.Context, name string) (*servingv1.Configuration, error) {
	if time.Now().Before(s.until) {
		return nil, fault.New(fault.Transient, "fake", name, "no answer in time")
	}
	return s.cluster.FindConfiguration(ctx, name)
}

// TestNameIsTakenOutLater: when there was no answer at first, the name goes at
// the end of the deploy.
func TestNameIsTakenOutLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		apply(t, c, "one")
		c.set(only("fn-v1", corev1.ConditionUnknown))
		time.AfterFunc(5*time.Second, func() { c.set(nil) })
		o, said := options(), &progresstest.Recorder{}
		o.Report = said
		if _, err := Run(t.Context(), &speechless{c, time.Now().Add(3 * time.Second)}, spec("2"), o); err != nil {
			t.Fatal(err)
		}
		if c.service.Spec.Template.Name != "" || split(c.service) != "fn-v1=100" || names(c) != "fn-00001 fn-v1" {
			t.Errorf("the template is named %q, split %s, revisions %s", c.service.Spec.Template.Name, split(c.service), names(c))
		}
		if text := strings.Join(said.Lines(), "\n"); strings.Contains(text, "warn ") {
			t.Errorf("it warns: %s", text)
		}
		apply(t, c, "three")
	})
}
