package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

func open(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func revision(name, service string) *servingv1.Revision {
	return &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{serving.ServiceLabelKey: service}}}
}

func must[T store.Object](t *testing.T) func(store.Object, error) T {
	return func(object store.Object, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out, ok := object.(T)
		if !ok {
			t.Fatalf("got a %T", object)
		}
		return out
	}
}

func TestVersionsAndGenerations(t *testing.T) {
	s := open(t, "")
	made := must[*servingv1.Revision](t)(s.Create(revision("a", "x")))
	if made.UID == "" || made.ResourceVersion == "" || made.Generation != 1 || made.Kind != "Revision" {
		t.Fatalf("created %+v", made.ObjectMeta)
	}
	if _, err := s.Create(revision("a", "x")); !apierrors.IsAlreadyExists(err) {
		t.Errorf("the second of a name: %v", err)
	}
	next := made.DeepCopy()
	next.Spec.ServiceAccountName = "robot"
	next.Status.ObservedGeneration = 7 // Update leaves the status alone
	changed := must[*servingv1.Revision](t)(s.Update(next))
	if changed.Generation != 2 || changed.Status.ObservedGeneration != 0 || changed.ResourceVersion == made.ResourceVersion {
		t.Errorf("updated %+v, status %+v", changed.ObjectMeta, changed.Status)
	}
	if _, err := s.Update(made); !apierrors.IsConflict(err) {
		t.Errorf("a write on an old version: %v", err)
	}
	status := changed.DeepCopy()
	status.Status.ObservedGeneration, status.Spec.ServiceAccountName = 2, "someone else"
	seen := must[*servingv1.Revision](t)(s.UpdateStatus(status))
	if seen.Generation != 2 || seen.Status.ObservedGeneration != 2 || seen.Spec.ServiceAccountName != "robot" {
		t.Errorf("status updated: %+v", seen)
	}
	before := s.Version()
	again := must[*servingv1.Revision](t)(s.Update(seen.DeepCopy()))
	if again.ResourceVersion != seen.ResourceVersion || s.Version() != before {
		t.Error("an update without a change makes a version")
	}
}

// What is kept is what its JSON says, before the platform is started again, too.
func TestKeptIsNormal(t *testing.T) {
	s := open(t, "")
	rev := revision("a", "x")
	rev.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{}}}}
	made := must[*servingv1.Revision](t)(s.Create(rev))
	if found, _ := store.Get[*servingv1.Revision](s, "default", "a"); found.Spec.Containers[0].Resources.Limits != nil || found != made {
		t.Errorf("an empty map stays: %+v", found.Spec.Containers[0].Resources)
	}
}

func TestIndex(t *testing.T) {
	s := open(t, "")
	for _, name := range []string{"b", "a"} {
		must[*servingv1.Revision](t)(s.Create(revision(name, "x")))
	}
	must[*servingv1.Revision](t)(s.Create(revision("c", "y")))
	found := store.Labelled[*servingv1.Revision](s, "default", serving.ServiceLabelKey, "x")
	if len(found) != 2 || found[0].Name != "a" {
		t.Fatalf("found %d", len(found))
	}
	moved := found[0].DeepCopy()
	moved.Labels[serving.ServiceLabelKey] = "y"
	moved.OwnerReferences = []metav1.OwnerReference{{UID: found[1].UID}}
	must[*servingv1.Revision](t)(s.Update(moved))
	if found := store.Labelled[*servingv1.Revision](s, "default", serving.ServiceLabelKey, "x"); len(found) != 1 || found[0].Name != "b" {
		t.Errorf("after the label changed: %d", len(found))
	}
	if owned := s.Owned(found[1].UID); len(owned) != 1 || owned[0].GetName() != "a" {
		t.Errorf("owned: %v", owned)
	}
}

func TestDeletionInTwoSteps(t *testing.T) {
	s := open(t, "")
	pods, revisions := s.Kind("", "v1", "pods"), s.Kind("serving.knative.dev", "v1", "revisions")
	pod := must[*corev1.Pod](t)(s.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}}))
	going := must[*corev1.Pod](t)(s.Delete(pods, "default", "p", 30, nil))
	if going.DeletionTimestamp == nil || *going.DeletionGracePeriodSeconds != 30 {
		t.Errorf("deleted pod: %+v", going.ObjectMeta)
	}
	s.Remove(pod)
	if _, ok := s.Get(pods, "default", "p"); ok {
		t.Error("a removed pod is there")
	}
	guarded := revision("r", "x")
	guarded.Finalizers = []string{"example.com/wait"}
	must[*servingv1.Revision](t)(s.Create(guarded))
	waiting := must[*servingv1.Revision](t)(s.Delete(revisions, "default", "r", 0, nil)).DeepCopy()
	waiting.Finalizers = nil
	must[*servingv1.Revision](t)(s.Update(waiting))
	if _, ok := s.Get(revisions, "default", "r"); ok {
		t.Error("it stays after its last finalizer")
	}
	other := metav1.NewUIDPreconditions("someone else's")
	must[*servingv1.Revision](t)(s.Create(revision("r", "x")))
	if _, err := s.Delete(revisions, "default", "r", 0, other); !apierrors.IsConflict(err) {
		t.Errorf("deleted under another uid: %v", err)
	}
}

func TestWatch(t *testing.T) {
	s := open(t, "")
	ctx := context.Background()
	w := s.Watch(s.Version())
	must[*servingv1.Revision](t)(s.Create(revision("a", "x")))
	events, err := w.Next(ctx)
	if err != nil || len(events) != 1 || events[0].Change != store.Added || events[0].Version != w.Version() {
		t.Fatalf("%v, %v", events, err)
	}
	got := make(chan []store.Event)
	go func() {
		events, _ := w.Next(ctx)
		got <- events
	}()
	kind := s.Kind("serving.knative.dev", "v1", "revisions")
	if _, err := s.Delete(kind, "default", "a", 0, nil); err != nil {
		t.Fatal(err)
	}
	if events := <-got; len(events) != 1 || events[0].Change != store.Deleted || events[0].Old == nil {
		t.Errorf("after the deletion: %v", events)
	}
	old := s.Watch(0)
	for range 20000 {
		must[*servingv1.Revision](t)(s.Create(revision("b", "x")))
		if _, err := s.Delete(kind, "default", "b", 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := old.Next(ctx); !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch that is too far behind: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Watch(s.Version()).Next(ended); err == nil {
		t.Error("a watch whose context has ended goes on")
	}
}

// What was flushed is there after a crash; versions go on from higher ones, and
// pods are gone with their processes.
func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	kept := must[*servingv1.Revision](t)(s.Create(revision("a", "x")))
	must[*servingv1.Revision](t)(s.Create(revision("gone", "x")))
	must[*corev1.Pod](t)(s.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}}))
	if _, err := s.Delete(s.KindOf(kept), "default", "gone", 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	last := s.Version()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err == nil {
		t.Error("a closed store flushes")
	}
	s = open(t, path)
	found, ok := store.Get[*servingv1.Revision](s, "default", "a")
	if !ok || found.UID != kept.UID || found.ResourceVersion != kept.ResourceVersion {
		t.Errorf("after opening again: %v", found)
	}
	if n := len(store.List[*servingv1.Revision](s, "")); n != 1 {
		t.Errorf("%d revisions, want 1", n)
	}
	if n := len(store.List[*corev1.Pod](s, "")); n != 0 {
		t.Errorf("%d pods, want none", n)
	}
	if s.Version() <= last {
		t.Errorf("version %d after %d", s.Version(), last)
	}
	if n := len(store.Labelled[*servingv1.Revision](s, "default", serving.ServiceLabelKey, "x")); n != 1 {
		t.Errorf("the index has %d", n)
	}
	if _, err := store.Open(path); err == nil {
		t.Error("two stores on one file")
	}
}

// A file that is no store, or is one no longer, is said to be damaged.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	for i := range 200 {
		must[*servingv1.Revision](t)(s.Create(revision(fmt.Sprintf("r-%d", i), "x")))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"text":        []byte("hello\n"),
		"cut":         whole[:len(whole)*2/3],
		"overwritten": append(slices.Clone(whole[:3*4096]), make([]byte, len(whole)-3*4096)...),
	} {
		path := filepath.Join(t.TempDir(), "state.db") // a panic of bolt's leaves the lock, until the process ends
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := store.Open(path); err == nil {
			_ = s.Close()
			t.Logf("%s: it opens", name)
		} else if !strings.Contains(err.Error(), "damaged") || !strings.Contains(fault.HintOf(err), "local down {Purge}") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
