package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"value": value}}
}

func openIn(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// What cannot get to the disk has not happened: not for readers, not for watches, and
// not for whoever writes next.
func TestDurableOrNothing(t *testing.T) {
	s := openIn(t, t.TempDir())
	made, err := s.Durable().Create(configMap("a", "old"))
	if err != nil {
		t.Fatal(err)
	}
	before := s.Version()
	watch := s.Watch(before)
	if err := s.disk.db.Close(); err != nil { // from now on every transaction fails
		t.Fatal(err)
	}
	changed := configMap("a", "new")
	_, create := s.Durable().Create(configMap("b", "new"))
	_, update := s.Durable().Update(changed)
	_, remove := s.Durable().Delete(s.KindOf(changed), "default", "a", 0, nil)
	for what, err := range map[string]error{"create": create, "update": update, "delete": remove} {
		if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			t.Errorf("%s with a disk that fails: %v", what, err)
		}
	}
	found, ok := Get[*corev1.ConfigMap](s, "default", "a")
	if !ok || found.Data["value"] != "old" || found.ResourceVersion != made.GetResourceVersion() {
		t.Errorf("what is read: %v", found)
	}
	if _, ok := Get[*corev1.ConfigMap](s, "default", "b"); ok {
		t.Error("what was not created is there")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if events, err := watch.Next(ctx); !errors.Is(err, context.DeadlineExceeded) || s.Version() != before {
		t.Errorf("watched: %v, %v", events, err)
	}
}

// While a durable write is under way, others of the same object wait for it and meet
// what it has made; nobody has seen it before. Those of other objects go on.
func TestDurableWritesAreSeenInOrder(t *testing.T) {
	s := openIn(t, t.TempDir())
	started, release := make(chan struct{}), make(chan struct{})
	hold := func() { // the disk is slow
		tx, err := s.disk.db.Begin(true)
		if err != nil {
			t.Error(err)
			return
		}
		close(started)
		<-release
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
	go hold()
	<-started
	var wg sync.WaitGroup
	created, conflicts := 0, 0
	var mu sync.Mutex
	for i := range 4 {
		wg.Go(func() {
			_, err := s.Durable().Create(configMap("a", fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				created++
			case apierrors.IsAlreadyExists(err):
				conflicts++
			default:
				t.Error(err)
			}
		})
	}
	if _, err := s.Create(configMap("other", "x")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if _, ok := Get[*corev1.ConfigMap](s, "default", "a"); ok {
		t.Error("it is seen before it is on the disk")
	}
	close(release)
	wg.Wait()
	if created != 1 || conflicts != 3 {
		t.Errorf("%d created, %d refused", created, conflicts)
	}
	found, _ := Get[*corev1.ConfigMap](s, "default", "a")
	other, _ := Get[*corev1.ConfigMap](s, "default", "other")
	if found.ResourceVersion <= other.ResourceVersion {
		t.Errorf("version %s was given out before %s, and seen after it", found.ResourceVersion, other.ResourceVersion)
	}
}

// After a crash there is what was answered, under its own version.
func TestDurableVersions(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if _, err := s.Durable().Create(configMap(fmt.Sprint("c", i), "x")); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := s.Create(&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("e", i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want := List[*corev1.ConfigMap](s, "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openIn(t, dir)
	got := List[*corev1.ConfigMap](s, "")
	if len(got) != 50 || len(want) != 50 {
		t.Fatalf("%d, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].ResourceVersion != want[i].ResourceVersion {
			t.Errorf("%s has version %s, and had %s", got[i].Name, got[i].ResourceVersion, want[i].ResourceVersion)
		}
	}
}
