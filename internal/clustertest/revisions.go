package clustertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// ready waits until a revision serves, and the service says so of the spec it has.
func (s *suite) ready(name string) *servingv1.Service {
	s.Helper()
	var svc *servingv1.Service
	s.eventually(name+" is ready", func() string {
		svc = s.find()
		rev, err := s.Cluster.FindRevision(s.ctx, name)
		if err != nil {
			s.Fatal(err)
		}
		if rev == nil {
			return "it is not there"
		}
		status, reason, message := condition(apis.Conditions(rev.Status.Conditions), apis.ConditionReady)
		switch {
		case status != corev1.ConditionTrue:
			return fmt.Sprintf("Ready is %q: %s: %s", status, reason, message)
		case svc.Status.ObservedGeneration != svc.Generation:
			return fmt.Sprintf("generation %d of %d is observed", svc.Status.ObservedGeneration, svc.Generation)
		case svc.Status.LatestReadyRevisionName != name:
			return "the latest ready one is " + svc.Status.LatestReadyRevisionName
		}
		return ""
	})
	return svc
}

func (s *suite) revisionNames() []string {
	s.Helper()
	all, err := s.Cluster.ListRevisions(s.ctx, "fn")
	if err != nil {
		s.Fatal(err)
	}
	var out []string
	for i := range all {
		out = append(out, all[i].Name)
	}
	slices.Sort(out)
	return out
}

// testRevisions: a template makes a revision, named by itself or by its count; what
// does not change the template makes none.
func testRevisions(s *suite) {
	s.create(nil)
	svc := s.ready("fn-00001")
	if svc.Status.LatestCreatedRevisionName != "fn-00001" || svc.Status.URL == nil || svc.Status.URL.Host == "" {
		s.Errorf("the service says %+v", svc.Status)
	}
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Template.Name = "fn-v2"
		set(svc, "ANSWER", "two")
	})
	s.ready("fn-v2")
	s.update(func(svc *servingv1.Service) { svc.Annotations = with(svc.Annotations, "example.com/note", "x") })
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "fn-v2", LatestRevision: new(false), Percent: new(int64(100))}}
	})
	s.ready("fn-v2")
	if got := s.revisionNames(); !slices.Equal(got, []string{"fn-00001", "fn-v2"}) {
		s.Fatalf("revisions %v", got)
	}
	config, err := s.Cluster.FindConfiguration(s.ctx, "fn")
	if err != nil || config == nil {
		s.Fatalf("configuration: %v, %v", config, err)
	}
	if c := config.Status; config.Generation != 2 || c.ObservedGeneration != 2 || c.LatestCreatedRevisionName != "fn-v2" || c.LatestReadyRevisionName != "fn-v2" {
		s.Errorf("the configuration of generation %d says %+v", config.Generation, c)
	}
	for i, name := range []string{"fn-00001", "fn-v2"} {
		rev, err := s.Cluster.FindRevision(s.ctx, name)
		if err != nil || rev == nil {
			s.Fatalf("%s: %v, %v", name, rev, err)
		}
		if rev.Labels[serving.ServiceLabelKey] != "fn" || rev.Labels[serving.ConfigurationGenerationLabelKey] != strconv.Itoa(i+1) {
			s.Errorf("%s has the labels %v", name, rev.Labels)
		}
	}
	if err := s.Cluster.LabelRevision(s.ctx, "fn-00001", "example.com/note", "x"); err != nil {
		s.Error(err)
	}
	if rev, err := s.Cluster.FindRevision(s.ctx, "fn-00001"); err != nil || rev.Labels["example.com/note"] != "x" || rev.Labels[serving.ServiceLabelKey] != "fn" {
		s.Errorf("labelled: %v, %v", rev.Labels, err)
	}
	if err := s.Cluster.DeleteRevision(s.ctx, "fn-00001"); err != nil {
		s.Error(err)
	}
	s.eventually("the deleted revision is gone", func() string {
		if names := s.revisionNames(); !slices.Equal(names, []string{"fn-v2"}) {
			return fmt.Sprintf("there are %q", names)
		}
		return ""
	})
	// The template has lost its name: the next number is the configuration's generation.
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Template.Name = ""
		set(svc, "ANSWER", "three")
	})
	s.ready("fn-00003")
}

// testFailures: a revision that fails says why, and what served before is the latest
// ready one still.
func testFailures(s *suite) {
	s.create(func(svc *servingv1.Service) { svc.Spec.Template.Name = "fn-v1" })
	s.ready("fn-v1")
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Template.Name = "fn-v2"
		s.Break(svc)
	})
	s.eventually("fn-v2 fails", func() string {
		rev, err := s.Cluster.FindRevision(s.ctx, "fn-v2")
		if err != nil || rev == nil {
			return fmt.Sprintf("%v, %v", rev, err)
		}
		status, reason, message := condition(apis.Conditions(rev.Status.Conditions), apis.ConditionReady)
		if status != corev1.ConditionFalse || reason == "" || message == "" {
			return fmt.Sprintf("Ready is %q: %q: %q", status, reason, message)
		}
		return ""
	})
	s.eventually("the service knows", func() string {
		svc := s.find()
		if svc.Status.LatestCreatedRevisionName != "fn-v2" || svc.Status.LatestReadyRevisionName != "fn-v1" {
			return fmt.Sprintf("latest created %s, latest ready %s", svc.Status.LatestCreatedRevisionName, svc.Status.LatestReadyRevisionName)
		}
		return ""
	})
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Template = *s.service().Spec.Template.DeepCopy()
		svc.Spec.Template.Name = "fn-v3"
	})
	s.ready("fn-v3")
}

// testRouting: the status has the shares of the spec, each with its revision, and a
// URL for each tag.
func testRouting(s *suite) {
	s.create(func(svc *servingv1.Service) { svc.Spec.Template.Name = "fn-v1" })
	s.ready("fn-v1")
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Template.Name = "fn-v2"
		set(svc, "ANSWER", "two")
	})
	s.ready("fn-v2")
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Traffic = []servingv1.TrafficTarget{
			{LatestRevision: new(true), Percent: new(int64(70))},
			{RevisionName: "fn-v1", LatestRevision: new(false), Percent: new(int64(30)), Tag: "old"},
		}
	})
	s.routed("fn-v2=70", "fn-v1(old)=30")
	s.update(func(svc *servingv1.Service) {
		svc.Spec.Traffic = []servingv1.TrafficTarget{
			{RevisionName: "fn-v1", LatestRevision: new(false), Percent: new(int64(100))},
			{LatestRevision: new(true), Tag: "next"},
		}
	})
	s.routed("fn-v1=100", "fn-v2(next)=0")
}

// routed waits until the status has these shares.
func (s *suite) routed(want ...string) {
	s.Helper()
	slices.Sort(want)
	s.eventually("the route has "+strings.Join(want, " "), func() string {
		svc := s.find()
		var got []string
		for _, target := range svc.Status.Traffic {
			text := target.RevisionName
			if target.Tag != "" {
				text += "(" + target.Tag + ")"
				if target.URL == nil || !strings.HasPrefix(target.URL.Host, target.Tag+"-") {
					return fmt.Sprintf("tag %s has the URL %v", target.Tag, target.URL)
				}
			}
			percent := int64(0)
			if target.Percent != nil {
				percent = *target.Percent
			}
			got = append(got, fmt.Sprintf("%s=%d", text, percent))
		}
		slices.Sort(got)
		status, reason, _ := condition(apis.Conditions(svc.Status.Conditions), servingv1.ServiceConditionRoutesReady)
		if !slices.Equal(got, want) || svc.Status.ObservedGeneration != svc.Generation || status != corev1.ConditionTrue {
			return fmt.Sprintf("it has %v, generation %d of %d, RoutesReady %s %s", got, svc.Status.ObservedGeneration, svc.Generation, status, reason)
		}
		return ""
	})
}

// errSeen is what the callbacks of watches return when they have seen enough.
var errSeen = errors.New("seen")

// testWatches: a watch begins with what is there, or is not, and goes on until its
// callback or its context ends it.
func testWatches(s *suite) {
	var mu sync.Mutex
	var states []string
	ended := make(chan error, 1)
	go func() {
		ended <- s.Cluster.WatchService(s.ctx, "fn", func(svc *servingv1.Service) error {
			state := "absent"
			if svc != nil {
				state = "note " + svc.Annotations["example.com/note"]
			}
			mu.Lock()
			defer mu.Unlock()
			if len(states) == 0 || states[len(states)-1] != state {
				states = append(states, state)
			}
			if state == "note b" {
				return errSeen
			}
			return nil
		})
	}()
	sees := func(want string) {
		s.Helper()
		s.eventually("the watch sees "+want, func() string {
			mu.Lock()
			defer mu.Unlock()
			if n := len(states); n == 0 || states[n-1] != want {
				return fmt.Sprintf("%q", states)
			}
			return ""
		})
	}
	sees("absent")
	s.create(func(svc *servingv1.Service) { svc.Spec.Template.Name = "fn-v1" })
	sees("note ")
	s.ready("fn-v1")
	for _, note := range []string{"a", "b"} {
		s.update(func(svc *servingv1.Service) { svc.Annotations = with(svc.Annotations, "example.com/note", note) })
		sees("note " + note)
	}
	if err := <-ended; !errors.Is(err, errSeen) {
		s.Errorf("the watch ended with %v", err)
	}
	err := s.Cluster.WatchRevision(s.ctx, "fn-v1", func(rev *servingv1.Revision) error {
		if rev == nil || rev.Name != "fn-v1" {
			s.Errorf("the watch of fn-v1 begins with %v", rev)
		}
		return errSeen
	})
	if !errors.Is(err, errSeen) {
		s.Errorf("the watch of fn-v1 ended with %v", err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	err = s.Cluster.WatchRevision(ctx, "fn-none", func(rev *servingv1.Revision) error {
		if rev != nil {
			s.Errorf("a revision that nobody has made: %v", rev)
		}
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		s.Errorf("the watch whose context ended: %v", err)
	}
	cancel()
}
