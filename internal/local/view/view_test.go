package view_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/ptr"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/view"
)

func TestRead(t *testing.T) {
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	create := func(object store.Object) store.Object {
		t.Helper()
		made, err := s.Create(object)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	meta := func(name, revision string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{serving.ServiceLabelKey: "hello", serving.RevisionLabelKey: revision}}
	}
	svc := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello"}}
	svc.Status.Traffic = []servingv1.TrafficTarget{
		{RevisionName: "hello-v1", Percent: ptr.Int64(40)}, {RevisionName: "hello-v2", Percent: ptr.Int64(60)}, {RevisionName: "hello-v2", Tag: "next"},
	}
	create(svc)
	create(&servingv1.Revision{ObjectMeta: meta("hello-v1", "")})
	create(&servingv1.Revision{ObjectMeta: meta("hello-v2", "")})
	ready := &corev1.Pod{ObjectMeta: meta("a", "hello-v2")}
	ready.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	create(ready)
	crashing := &corev1.Pod{ObjectMeta: meta("b", "hello-v2")}
	crashing.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	create(crashing)

	state := view.Read(s, func(_, revision string) view.Requests {
		return view.Requests{Total: uint64(len(revision))}
	}, time.Now())
	if len(state.Services) != 1 || state.Instances != 1 {
		t.Fatalf("%+v", state)
	}
	revisions := state.Services[0].Revisions
	if len(revisions) != 2 || revisions[0].Name != "hello-v2" {
		t.Fatalf("%+v", revisions)
	}
	newest := revisions[0]
	if newest.Percent != 60 || len(newest.Tags) != 1 || newest.Requests.Total != 8 || len(newest.Pods) != 2 {
		t.Errorf("%+v", newest)
	}
	if newest.Pods[0].State != "Serving" || newest.Pods[1].State != "CrashLoopBackOff" || newest.Pods[1].Restarts != 3 {
		t.Errorf("pods %+v", newest.Pods)
	}
	if revisions[1].Percent != 40 || revisions[1].Ready != "Unknown" {
		t.Errorf("%+v", revisions[1])
	}
}
