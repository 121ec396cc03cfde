package control

import (
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/recorder"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

func (p *platform) create(object store.Object) store.Object {
	p.Helper()
	stored, err := p.store.Create(object)
	if err != nil {
		p.Fatal(err)
	}
	return stored
}

func (p *platform) delete(object store.Object) {
	p.Helper()
	if _, err := p.store.Delete(p.store.KindOf(object), object.GetNamespace(), object.GetName(), 0, nil); err != nil {
		p.Fatal(err)
	}
}

func TestDependentsOfSeveralOwners(t *testing.T) {
	p := newPlatform(t).start()
	a := p.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}})
	b := p.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "default"}})
	reference := func(object store.Object) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: object.GetName(), UID: object.GetUID()}
	}
	foreign := metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Thing", Name: "x", UID: "x"}
	p.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "both", Namespace: "default", OwnerReferences: []metav1.OwnerReference{reference(a), reference(b)}}})
	p.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "stranger", Namespace: "default", OwnerReferences: []metav1.OwnerReference{foreign}}})
	p.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "late", Namespace: "default", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "a", UID: "another one's"},
	}}})
	has := func(name string) (*corev1.Secret, bool) { return store.Get[*corev1.Secret](p.store, "default", name) }
	p.await("what comes after its owner has gone goes too", func() error {
		if _, ok := has("late"); ok {
			return errors.New("it is there")
		}
		return nil
	})
	p.delete(a)
	p.await("one owner is enough", func() error {
		secret, ok := has("both")
		if !ok {
			t.Fatal("it is gone")
		}
		if len(secret.OwnerReferences) != 1 {
			return fmt.Errorf("%v", secret.OwnerReferences)
		}
		return nil
	})
	p.delete(b)
	p.await("none is not", func() error {
		if _, ok := has("both"); ok {
			return errors.New("it is there")
		}
		return nil
	})
	if _, ok := has("stranger"); !ok {
		t.Error("what belongs to an unknown kind was deleted")
	}
}

// What was deleted when the platform was stopped is missed by no watch.
func TestStartFindsWhatHasLostItsOwner(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello")
	p.awaitReady("hello")
	p.stop()
	s, err := store.Open(p.file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(s.KindOf(&servingv1.Service{}), "default", "hello", 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.await("all of it is gone", func() error { return leftovers(p.store, "default") })
}

func TestNamespaces(t *testing.T) {
	p := newPlatform(t).start()
	namespace := p.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}})
	p.await("it has an account", func() error {
		if _, ok := store.Get[*corev1.ServiceAccount](p.store, "team", "default"); !ok {
			return errors.New("there is none")
		}
		if got, _ := store.Get[*corev1.Namespace](p.store, "", "team"); got.Status.Phase != corev1.NamespaceActive {
			return fmt.Errorf("it is %s", got.Status.Phase)
		}
		return nil
	})
	p.create(newService("hello", func(svc *servingv1.Service) { svc.Namespace = "team" }))
	awaitCondition[*servingv1.Service](p, "team", "hello", "Ready", corev1.ConditionTrue, "", "")
	p.delete(namespace)
	p.await("it is empty", func() error {
		if accounts := store.List[*corev1.ServiceAccount](p.store, "team"); len(accounts) > 0 {
			return errors.New("it has an account")
		}
		return leftovers(p.store, "team")
	})
	account, _ := store.Get[*corev1.ServiceAccount](p.store, "default", "default")
	p.delete(account)
	p.await("the account comes back", func() error {
		if _, ok := store.Get[*corev1.ServiceAccount](p.store, "default", "default"); !ok {
			return errors.New("there is none")
		}
		return nil
	})
	node, ok := store.Get[*corev1.Node](p.store, "", "here")
	if !ok || node.Status.NodeInfo.Architecture == "" || len(node.Status.Addresses) == 0 {
		t.Errorf("the node is %+v", node)
	}
}

// A namespace that has finalizers is there until it is empty: nothing may be made in it
// meanwhile.
func TestNamespaceThatEndsSlowly(t *testing.T) {
	p := newPlatform(t).start()
	namespace := newNamespace("team")
	namespace.Finalizers = []string{"example.com/wait"}
	stored := p.create(namespace)
	for i := range 5 {
		p.create(newService(fmt.Sprint("s", i), func(svc *servingv1.Service) { svc.Namespace = "team" }))
	}
	awaitCondition[*servingv1.Service](p, "team", "s4", "Ready", corev1.ConditionTrue, "", "")
	p.delete(stored)
	p.await("it is empty", func() error { return leftovers(p.store, "team") })
	p.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late", Namespace: "team"}})
	p.await("it is empty again", func() error {
		if events := store.List[*corev1.Event](p.store, "team"); len(events) > 0 {
			return fmt.Errorf("%s: %s", events[0].Reason, events[0].Message)
		}
		return leftovers(p.store, "team")
	})
}

func TestRouteThatIsDeletedLeavesNoMark(t *testing.T) {
	p := newPlatform(t).start()
	config := &servingv1.Configuration{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default"}}
	config.Spec.Template.Spec.Containers = []corev1.Container{{Image: "registry.example/c"}}
	config.SetDefaults(t.Context())
	p.create(config)
	latest := true
	route := p.create(&servingv1.Route{
		ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "default"},
		Spec:       servingv1.RouteSpec{Traffic: []servingv1.TrafficTarget{{ConfigurationName: "c", Percent: share(100), LatestRevision: &latest}}},
	})
	awaitCondition[*servingv1.Route](p, "default", "r", "Ready", corev1.ConditionTrue, "", "")
	state := func(want servingv1.RoutingState, routes string) func() error {
		return func() error {
			rev := p.revision("c-00001")
			config, _ := store.Get[*servingv1.Configuration](p.store, "default", "c")
			if rev.GetRoutingState() != want || rev.Annotations[serving.RoutesAnnotationKey] != routes || config.Annotations[serving.RoutesAnnotationKey] != routes {
				return fmt.Errorf("%s, %v, %v", rev.GetRoutingState(), rev.Annotations, config.Annotations)
			}
			return nil
		}
	}
	p.await("the revision is in use", state(servingv1.RoutingStateActive, "r"))
	p.delete(route)
	p.await("the revision is not in use", state(servingv1.RoutingStateReserve, ""))
}

func TestRevisionThatIsDeletedIsMadeAgain(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello")
	p.awaitReady("hello")
	old := p.revision("hello-00001")
	p.delete(old)
	p.await("the revision is another one", func() error {
		rev, ok := store.Get[*servingv1.Revision](p.store, "default", "hello-00001")
		if !ok || rev.UID == old.UID || !rev.IsReady() {
			return errors.New("not yet")
		}
		return nil
	})
	p.await("the old one's deployment is gone", func() error {
		for _, d := range store.List[*appsv1.Deployment](p.store, "default") {
			if metav1.IsControlledBy(d, old) {
				return errors.New("it is there")
			}
		}
		return nil
	})
	p.awaitReady("hello")
}

// Events are for people who look now: what is old is dropped, what repeats is counted.
func TestEvents(t *testing.T) {
	p := newPlatform(t).start()
	svc := p.service("hello")
	p.awaitReady("hello")
	reasons := map[string]bool{}
	for _, event := range store.List[*corev1.Event](p.store, "default") {
		reasons[event.InvolvedObject.Kind+" "+event.Reason] = true
	}
	for _, want := range []string{
		"Service Created", "Configuration Created", "Configuration LatestReadyUpdate", "Revision RevisionReady", "Deployment SuccessfulCreate", "Pod Scheduled",
	} {
		if !reasons[want] {
			t.Errorf("no event says %s: %v", want, reasons)
		}
	}
	now := noon
	other, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Create(newNamespace("default")); err != nil {
		t.Fatal(err)
	}
	r := newEvents(other, func() time.Time { return now })
	r.record(svc, corev1.EventTypeWarning, "Trouble", "%d %%", 1)
	now = now.Add(50 * time.Minute)
	r.record(svc, corev1.EventTypeWarning, "Trouble", "%d %%", 1)
	events := store.List[*corev1.Event](other, "")
	if len(events) != 1 || events[0].Count != 2 || events[0].Message != "1 %" {
		t.Errorf("%+v", events)
	}
	now = now.Add(2 * time.Minute)
	if left := r.expire(); left < time.Minute || len(store.List[*corev1.Event](other, "")) != 1 {
		t.Errorf("the next look is in %v", left)
	}
	now = time.Now().Add(2 * recorder.Life)
	if left := r.expire(); left != 0 || len(store.List[*corev1.Event](other, "")) != 0 {
		t.Errorf("old events stay, the next look is in %v", left)
	}
}
