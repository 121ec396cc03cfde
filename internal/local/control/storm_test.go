package control

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// What controllers write reaches the disk a little later, so a crash can lose any of it.
func TestStartCompletesWhatACrashHasLost(t *testing.T) {
	for _, lost := range []struct {
		name string
		edit func(*store.Store) error
	}{
		{"the route", func(s *store.Store) error { return drop(s, &servingv1.Route{}, "hello") }},
		{"the configuration", func(s *store.Store) error { return drop(s, &servingv1.Configuration{}, "hello") }},
		{"the revision", func(s *store.Store) error { return drop(s, &servingv1.Revision{}, "hello-00001") }},
		{"the revision's status", func(s *store.Store) error {
			rev, _ := store.Get[*servingv1.Revision](s, "default", "hello-00001")
			next := rev.DeepCopy()
			next.Status = servingv1.RevisionStatus{}
			_, err := s.UpdateStatus(next)
			return err
		}},
		{"the revision's marks", func(s *store.Store) error {
			rev, _ := store.Get[*servingv1.Revision](s, "default", "hello-00001")
			_, err := s.Update(markRevision(rev, "hello", false, noon))
			return err
		}},
		{"the service, but not what it owned", func(s *store.Store) error {
			svc, _ := store.Get[*servingv1.Service](s, "default", "hello")
			if err := drop(s, svc, "hello"); err != nil {
				return err
			}
			_, err := s.Create(newService("hello"))
			return err
		}},
	} {
		t.Run(lost.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t).start()
			p.service("hello")
			p.awaitReady("hello")
			p.stop()
			s, err := store.Open(p.file)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(lost.edit(s), s.Close()); err != nil {
				t.Fatal(err)
			}
			p.start()
			p.await("the service is whole again", func() error { return p.whole("hello") })
		})
	}
}

func drop(s *store.Store, object store.Object, name string) error {
	_, err := s.Delete(s.KindOf(object), "default", name, 0, nil)
	return err
}

// whole says what a service lacks that follows its latest revision.
func (p *platform) whole(name string) error {
	svc := p.get(name)
	if !svc.IsReady() || len(svc.Status.Traffic) != 1 {
		return fmt.Errorf("%s: %+v, %+v", name, svc.Status.Conditions, svc.Status.Traffic)
	}
	revision := svc.Status.LatestCreatedRevisionName
	rev, ok := store.Get[*servingv1.Revision](p.store, "default", revision)
	switch {
	case !ok:
		return fmt.Errorf("there is no revision %s", revision)
	case svc.Status.Traffic[0].RevisionName != revision || svc.Status.LatestReadyRevisionName != revision:
		return fmt.Errorf("%s has %+v", name, svc.Status)
	case rev.GetRoutingState() != servingv1.RoutingStateActive || len(routeList(rev.Annotations)) != 1:
		return fmt.Errorf("%s is %s for %v", revision, rev.GetRoutingState(), rev.Annotations)
	case rev.Spec.Containers[0].Image != svc.Spec.Template.Spec.Containers[0].Image:
		return fmt.Errorf("%s runs %s", revision, rev.Spec.Containers[0].Image)
	}
	for _, other := range store.List[*servingv1.Revision](p.store, "default") {
		if other.Labels["serving.knative.dev/service"] == name && other.Name != revision && other.GetRoutingState() != servingv1.RoutingStateReserve {
			return fmt.Errorf("%s is %s", other.Name, other.GetRoutingState())
		}
	}
	return nil
}

// Whatever clients do at the same time, and however often the platform starts anew, in
// the end each service is what its spec says.
func TestStorm(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	p := newPlatform(t)
	names := []string{"a", "b", "c", "d", "e", "f"}
	for round := range 4 {
		p.idle = round%2 == 1
		p.start()
		var clients sync.WaitGroup
		for client := range 3 {
			random := rand.New(rand.NewPCG(seed, uint64(round*10+client)))
			clients.Go(func() {
				for range 40 {
					p.clientStep(random, names[random.IntN(len(names))])
					time.Sleep(time.Duration(random.IntN(4)) * time.Millisecond)
				}
			})
		}
		clients.Wait()
		p.stop()
	}
	p.start()
	for _, name := range names {
		if _, ok := store.Get[*servingv1.Service](p.store, "default", name); ok {
			p.await(name+" is whole", func() error { return p.whole(name) })
			p.delete(p.get(name))
		}
	}
	p.await("nothing is left", func() error { return leftovers(p.store, "default") })
}

// clientStep is one thing that a client does; that another one was faster is no failure.
func (p *platform) clientStep(random *rand.Rand, name string) {
	svc, ok := store.Get[*servingv1.Service](p.store, "default", name)
	var err error
	switch what := random.IntN(10); {
	case !ok:
		_, err = p.store.Create(newService(name))
	case what < 2:
		_, err = p.store.Delete(p.store.KindOf(svc), "default", name, 0, nil)
	case what < 3:
		_, err = p.store.Delete(p.store.KindOf(&servingv1.Revision{}), "default", svc.Status.LatestReadyRevisionName, 0, nil)
	default:
		next := svc.DeepCopy()
		image(fmt.Sprint("registry.example/", name, random.IntN(1000)))(next)
		_, err = p.store.Update(next)
	}
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) {
		p.Error(err)
	}
}

// What a revision has left must not count for the next one of its name.
func TestRevisionOfTheSameNameStartsAfresh(t *testing.T) {
	p := newPlatform(t)
	p.idle = true
	p.start()
	p.service("hello")
	p.awaitReady("hello")
	p.await("it is at zero", func() error {
		if n := len(store.List[*corev1.Pod](p.store, "default")); n > 0 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
	for range 10 {
		old := p.revision("hello-00001")
		p.delete(old)
		p.await("the new one is ready", func() error {
			rev, ok := store.Get[*servingv1.Revision](p.store, "default", "hello-00001")
			if !ok || rev.UID == old.UID {
				return errors.New("it is not there")
			}
			if !rev.IsReady() {
				return fmt.Errorf("%+v", rev.Status.Conditions)
			}
			return nil
		})
	}
}

func TestOldRevisionsGo(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello")
	for i := range 26 {
		p.awaitReady("hello")
		p.update("hello", image(fmt.Sprint("registry.example/hello:", i)))
	}
	p.await("the last one serves", func() error { return p.whole("hello") })
	p.stop()
	p.ahead = 72 * time.Hour
	p.start()
	p.await("twenty stay beside the one that serves", func() error {
		if n := len(store.List[*servingv1.Revision](p.store, "default")); n != minInactive+1 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if _, ok := store.Get[*servingv1.Revision](p.store, "default", "hello-00007"); !ok {
		t.Error("it was not the oldest that went")
	}
	p.await("what they had is gone too", func() error {
		if n := len(store.List[*appsv1.Deployment](p.store, "default")); n != minInactive+1 {
			return fmt.Errorf("there are %d deployments", n)
		}
		return nil
	})
	if err := p.whole("hello"); err != nil {
		t.Error(err)
	}
}
