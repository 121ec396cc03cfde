package local_test

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
)

func client(t *testing.T, kubeconfig string) *cluster.Client {
	t.Helper()
	c, err := cluster.New(cluster.Options{Kubeconfig: kubeconfig, Env: func(string) string { return "" }, UserAgent: "kn-lite/test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func service(name string) *servingv1.Service {
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.Template.Spec.Containers = []corev1.Container{{Image: "example.com/fn/" + name}}
	return s
}

// The way of a deploy through kn-lite's own client, client-go.
func TestOwnClient(t *testing.T) {
	objects, kubeconfig := serve(t)
	c := client(t, kubeconfig)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := c.CheckNamespace(ctx); err != nil {
		t.Error(err)
	}
	rights := []cluster.Right{{Verb: "create", Resource: "services.serving.knative.dev"}, {Verb: "get", Resource: "pods/log"}}
	if missing := c.MissingRights(ctx, rights); len(missing) != 0 {
		t.Errorf("missing rights %v", missing)
	}
	if _, err := c.CreateService(ctx, service("hello"), true); err != nil {
		t.Errorf("dry run: %v", err)
	}
	made, err := c.CreateService(ctx, service("hello"), false)
	if err != nil {
		t.Fatal(err)
	}
	if made.Spec.Template.Spec.TimeoutSeconds == nil || made.Annotations["serving.knative.dev/creator"] == "" {
		t.Errorf("without Knative's defaults: %+v", made)
	}
	_, err = c.CreateService(ctx, service("hello"), false)
	wantKind(t, err, fault.Conflict)
	bad := service("bad")
	bad.Spec.Template.Spec.Containers[0].Image = "NOT AN IMAGE"
	_, err = c.CreateService(ctx, bad, false)
	wantKind(t, err, fault.Usage)
	_, err = c.GetService(ctx, "none")
	wantKind(t, err, fault.NotFound)

	next := made.DeepCopy()
	next.Labels = map[string]string{"a": "b"}
	if _, err := c.UpdateService(ctx, next, false); err != nil {
		t.Error(err)
	}
	_, err = c.UpdateService(ctx, next, false) // of a version that has passed
	wantKind(t, err, fault.Conflict)
	if list, err := c.ListServices(ctx, true); err != nil || len(list) != 1 {
		t.Errorf("services %v, %v", list, err)
	}
	if names, err := c.NamespaceNames(ctx); err != nil || len(names) != 1 || names[0] != "default" {
		t.Errorf("namespaces %v, %v", names, err)
	}
	for name, want := range map[string]bool{"robot": true, "nobody": false} {
		if want {
			if _, err := objects.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := c.Exists(ctx, "serviceaccount", name); err != nil || got != want {
			t.Errorf("service account %s: %v, %v", name, got, err)
		}
	}
	if err := c.DeleteService(ctx, "hello", true); err != nil {
		t.Error(err)
	}
	if err := c.WaitGone(ctx, "hello", func(int) {}); err != nil {
		t.Error(err)
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind {
		t.Errorf("%v instead of an error of kind %v", err, kind)
	}
}

// A watch of client-go sees changes as they happen, and ends with its reader.
func TestOwnClientWatches(t *testing.T) {
	objects, kubeconfig := serve(t)
	c := client(t, kubeconfig)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	made, err := c.CreateService(ctx, service("hello"), false)
	if err != nil {
		t.Fatal(err)
	}
	done := errors.New("ready")
	seen := 0
	err = c.WatchService(ctx, "hello", func(s *servingv1.Service) error {
		if seen++; seen == 1 {
			ready := made.DeepCopy()
			ready.Status.Conditions = append(ready.Status.Conditions, apis.Condition{Type: apis.ConditionReady, Status: corev1.ConditionTrue})
			ready.Status.ObservedGeneration = made.Generation
			if _, err := objects.UpdateStatus(ready); err != nil {
				return err
			}
		}
		if s.IsReady() {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) || seen < 2 {
		t.Errorf("%v after %d objects", err, seen)
	}
}

func TestWrongToken(t *testing.T) {
	_, kubeconfig := serve(t)
	c := client(t, rewrite(t, kubeconfig, "a-token", "another"))
	_, err := c.GetService(t.Context(), "hello")
	wantKind(t, err, fault.Auth)
}
