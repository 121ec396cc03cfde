package control

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

func TestPlaceholders(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", revisionName("hello-v1"), func(svc *servingv1.Service) {
		svc.Labels = map[string]string{"team": "a"}
		svc.Spec.Traffic = []servingv1.TrafficTarget{{Percent: share(100), Tag: "now"}}
	})
	p.awaitReady("hello")
	get := func(name string) *corev1.Service {
		service, _ := store.Get[*corev1.Service](p.store, "default", name)
		return service
	}
	main, tag := get("hello"), get("now-hello")
	if main == nil || tag == nil {
		t.Fatal("one is missing")
	}
	for key, want := range map[string]string{serving.RouteLabelKey: "hello", serving.ServiceLabelKey: "hello", "team": "a"} {
		if main.Labels[key] != want || tag.Labels[key] != want {
			t.Errorf("the label %s is %q and %q", key, main.Labels[key], tag.Labels[key])
		}
	}
	if main.Annotations[serving.CreatorAnnotation] != "somebody" || main.Spec.ExternalName != "hello.default.example.com" {
		t.Errorf("%+v", main)
	}
	p.update("hello", func(svc *servingv1.Service) {
		svc.Annotations["note"] = "b"
		svc.Spec.Traffic[0].Tag = ""
	})
	p.await("they follow the route", func() error {
		if get("hello").Annotations["note"] != "b" {
			return errors.New("the annotation is missing")
		}
		if get("now-hello") != nil {
			return errors.New("the tag's is there")
		}
		return nil
	})
}

func TestClusterLocal(t *testing.T) {
	p := newPlatform(t).start()
	private := func(on bool) func(*servingv1.Service) {
		return func(svc *servingv1.Service) {
			svc.Labels = map[string]string{}
			if on {
				svc.Labels[visibilityLabel] = serving.VisibilityClusterLocal
			}
		}
	}
	url := func(want string) {
		t.Helper()
		p.await("it is at "+want, func() error {
			svc := p.get("hello")
			if !svc.IsReady() || svc.Status.URL.String() != want {
				return fmt.Errorf("it is at %s", svc.Status.URL)
			}
			return nil
		})
	}
	const inner, outer = "http://hello.default.svc.cluster.local", "http://hello.default.example.com:7080"
	p.service("hello", private(true))
	url(inner)
	p.update("hello", private(false))
	url(outer)
	// One may label the Kubernetes service only.
	label := func(value string) {
		service, _ := store.Get[*corev1.Service](p.store, "default", "hello")
		next := service.DeepCopy()
		next.Labels[visibilityLabel] = value
		if _, err := p.store.Update(next); err != nil {
			t.Fatal(err)
		}
	}
	label(serving.VisibilityClusterLocal)
	url(inner)
	label("")
	url(outer)
}

func TestNameOfAnotherKubernetesService(t *testing.T) {
	p := newPlatform(t).start()
	other := p.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: "default"}})
	p.service("hello")
	awaitCondition[*servingv1.Route](p, "default", "hello", "IngressReady", corev1.ConditionFalse, "NotOwned",
		`There is an existing placeholder Service "hello" that we do not own.`)
	p.delete(other)
	p.awaitReady("hello")
}
