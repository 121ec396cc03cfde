package clustertest

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// testServices: what is absent is no error, what is written comes back with
// Knative's defaults, and only a change of the spec is a new generation.
func testServices(s *suite) {
	if svc := s.find(); svc != nil {
		s.Fatalf("a service that nobody has made: %v", svc)
	}
	if rev, err := s.Cluster.FindRevision(s.ctx, "fn-v1"); err != nil || rev != nil {
		s.Errorf("a revision that nobody has made: %v, %v", rev, err)
	}
	if config, err := s.Cluster.FindConfiguration(s.ctx, "fn"); err != nil || config != nil {
		s.Errorf("a configuration that nobody has made: %v, %v", config, err)
	}
	if all, err := s.Cluster.ListRevisions(s.ctx, "fn"); err != nil || len(all) != 0 {
		s.Errorf("revisions of no service: %v, %v", all, err)
	}
	absent := s.service()
	absent.ResourceVersion = "1"
	_, err := s.Cluster.UpdateService(s.ctx, absent, false)
	s.wantKind("an update of what is absent", err, fault.NotFound)

	made := s.create(nil)
	if made.Generation != 1 || made.ResourceVersion == "" {
		s.Errorf("new: generation %d, version %q", made.Generation, made.ResourceVersion)
	}
	if made.Spec.Template.Spec.TimeoutSeconds == nil || made.Spec.Template.Spec.Containers[0].Name == "" || len(made.Spec.Traffic) != 1 {
		s.Errorf("without Knative's defaults: %+v", made.Spec)
	}
	_, err = s.Cluster.CreateService(s.ctx, s.service(), false)
	s.wantKind("the same again", err, fault.Conflict)
	if read := s.find(); read == nil || !equality.Semantic.DeepEqual(read.Spec, made.Spec) {
		s.Errorf("it was stored as %+v, and reads %+v", made.Spec, read)
	}

	changed := s.update(func(svc *servingv1.Service) { set(svc, "A", "1") })
	if changed.Generation != 2 || changed.ResourceVersion == made.ResourceVersion {
		s.Errorf("another spec: generation %d, version %s after %s", changed.Generation, changed.ResourceVersion, made.ResourceVersion)
	}
	labelled := s.update(func(svc *servingv1.Service) {
		svc.Annotations = with(svc.Annotations, "example.com/note", "x")
	})
	if labelled.Generation != 2 || labelled.Annotations["example.com/note"] != "x" {
		s.Errorf("another annotation: generation %d, %v", labelled.Generation, labelled.Annotations)
	}
}

func with(all map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range all {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// testConflicts: of writers that have read the same version one wins at most.
func testConflicts(s *suite) {
	s.create(nil)
	old := s.find()
	s.update(func(svc *servingv1.Service) { set(svc, "A", "1") })
	stale := old.DeepCopy()
	set(stale, "A", "stale")
	_, err := s.Cluster.UpdateService(s.ctx, stale, false)
	s.wantKind("an old version", err, fault.Conflict)
	if generation := s.find().Generation; generation != 2 {
		s.Errorf("the refused write made generation %d", generation)
	}

	const writers = 8
	// Where controllers write in between, all may lose.
	s.eventually("one of many writers wins", func() string {
		from := s.find()
		errs := make([]error, writers)
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				mine := from.DeepCopy()
				set(mine, "WRITER", string(rune('a'+i))+from.ResourceVersion)
				_, errs[i] = s.Cluster.UpdateService(s.ctx, mine, false)
			})
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case fault.KindOf(err) != fault.Conflict:
				s.Fatalf("a writer that lost: %v", err)
			}
		}
		if won > 1 {
			s.Fatalf("%d of %d writers were told that they won", won, writers)
		}
		if won == 0 {
			return "none did"
		}
		return ""
	})
}

// testDryRun: judged and defaulted as if, and nothing is stored.
func testDryRun(s *suite) {
	judged, err := s.Cluster.CreateService(s.ctx, s.service(), true)
	if err != nil {
		s.Fatal(err)
	}
	if judged.Spec.Template.Spec.TimeoutSeconds == nil {
		s.Error("the answer has no defaults")
	}
	if svc := s.find(); svc != nil {
		s.Fatalf("a dry run has stored %v", svc)
	}
	bad := s.service()
	bad.Spec.Template.Spec.Containers = []corev1.Container{}
	_, err = s.Cluster.CreateService(s.ctx, bad, true)
	s.wantKind("a dry run of what is invalid", err, fault.Usage, "containers")

	s.create(nil)
	_, err = s.Cluster.CreateService(s.ctx, s.service(), true)
	s.wantKind("a dry run of what is there", err, fault.Conflict)
	s.eventually("a dry run of an update", func() string {
		next := s.find()
		set(next, "A", "1")
		judged, err := s.Cluster.UpdateService(s.ctx, next, true)
		if err != nil {
			return err.Error() // a controller was faster
		}
		if len(judged.Spec.Template.Spec.Containers[0].Env) != 2 {
			s.Errorf("the answer is not what was asked for: %+v", judged.Spec.Template.Spec.Containers[0].Env)
		}
		return ""
	})
	if svc := s.find(); svc.Generation != 1 || len(svc.Spec.Template.Spec.Containers[0].Env) != 1 {
		s.Errorf("a dry run has stored %+v", svc.Spec)
	}
	stale := s.find()
	s.update(func(svc *servingv1.Service) { set(svc, "B", "1") })
	set(stale, "A", "1")
	_, err = s.Cluster.UpdateService(s.ctx, stale, true)
	s.wantKind("a dry run with an old version", err, fault.Conflict)
}

// testValidation: refusals are Knative's, word for word.
func testValidation(s *suite) {
	container := func(svc *servingv1.Service) *corev1.Container { return &svc.Spec.Template.Spec.Containers[0] }
	for _, tt := range []struct {
		name, says string
		edit       func(*servingv1.Service)
	}{
		{"no container", "missing field(s): spec.template.spec.containers", func(svc *servingv1.Service) { svc.Spec.Template.Spec.Containers = []corev1.Container{} }},
		{"no image", "missing field(s): spec.template.spec.containers[0].image", func(svc *servingv1.Service) { container(svc).Image = "" }},
		{"image", "Failed to parse image reference", func(svc *servingv1.Service) { container(svc).Image = "NOT AN IMAGE" }},
		{"reserved variable", `"PORT" is a reserved environment variable`, func(svc *servingv1.Service) { set(svc, "PORT", "1") }},
		{"two ports", "more than one", func(svc *servingv1.Service) {
			container(svc).Ports = []corev1.ContainerPort{{ContainerPort: 1000}, {ContainerPort: 2000}}
		}},
		{"port of queue-proxy", "8012", func(svc *servingv1.Service) { container(svc).Ports = []corev1.ContainerPort{{ContainerPort: 8012}} }},
		{"concurrency", "expected 0 <= -1 <= 1000: spec.template.spec.containerConcurrency", func(svc *servingv1.Service) {
			svc.Spec.Template.Spec.ContainerConcurrency = new(int64(-1))
		}},
		{"timeout", "spec.template.spec.timeoutSeconds", func(svc *servingv1.Service) { svc.Spec.Template.Spec.TimeoutSeconds = new(int64(100_000)) }},
		{"scale", "max-scale=1 is less than min-scale=3", func(svc *servingv1.Service) {
			svc.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/min-scale": "3", "autoscaling.knative.dev/max-scale": "1"}
		}},
		{"name of a revision", `must have prefix "fn-"`, func(svc *servingv1.Service) { svc.Spec.Template.Name = "other" }},
		{"sum", "Traffic targets sum to 99, want 100", func(svc *servingv1.Service) {
			svc.Spec.Traffic = []servingv1.TrafficTarget{{LatestRevision: new(true), Percent: new(int64(99))}}
		}},
		{"tags", `Multiple definitions for "a": spec.traffic[0].tag, spec.traffic[1].tag`, func(svc *servingv1.Service) {
			svc.Spec.Traffic = []servingv1.TrafficTarget{
				{LatestRevision: new(true), Percent: new(int64(100)), Tag: "a"},
				{RevisionName: "fn-v1", LatestRevision: new(false), Tag: "a"},
			}
		}},
		{"neither name nor latest", "revisionName", func(svc *servingv1.Service) {
			svc.Spec.Traffic = []servingv1.TrafficTarget{{LatestRevision: new(false), Percent: new(int64(100))}}
		}},
	} {
		bad := s.service()
		tt.edit(bad)
		_, err := s.Cluster.CreateService(s.ctx, bad, false)
		s.wantKind(tt.name, err, fault.Usage, tt.says)
		if svc := s.find(); svc != nil {
			s.Fatalf("%s: it was stored all the same", tt.name)
		}
	}
	// What a name stands for stays.
	s.create(func(svc *servingv1.Service) { svc.Spec.Template.Name = "fn-v1" })
	s.eventually("another template under the same name is refused", func() string {
		next := s.find()
		set(next, "A", "1")
		_, err := s.Cluster.UpdateService(s.ctx, next, false)
		if fault.KindOf(err) == fault.Conflict {
			return err.Error()
		}
		s.wantKind("another template under the same name", err, fault.Usage, "without a name change")
		return ""
	})
}

// condition is the state of a condition, with its reason and message.
func condition(all apis.Conditions, kind apis.ConditionType) (corev1.ConditionStatus, string, string) {
	for _, c := range all {
		if c.Type == kind {
			return c.Status, c.Reason, c.Message
		}
	}
	return "", "", ""
}
