package api_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

func owned(name string, by store.Object) *corev1.ConfigMap {
	out := configMap("default", name)
	out.OwnerReferences = []metav1.OwnerReference{{APIVersion: by.GetObjectKind().GroupVersionKind().GroupVersion().String(), Kind: by.GetObjectKind().GroupVersionKind().Kind, Name: by.GetName(), UID: by.GetUID()}}
	return out
}

func (p *platform) create(object store.Object) store.Object {
	p.t.Helper()
	made, err := p.store.Create(object)
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

func (p *platform) exists(path string) bool { return p.do("GET", path, "").code == 200 }

func TestDeleteOrphans(t *testing.T) {
	p := start(t)
	parent := p.create(configMap("default", "parent"))
	p.create(owned("child", parent))
	p.must(200, "DELETE", configMaps+"/parent", `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"}`)
	if child := p.must(200, "GET", configMaps+"/child", ""); len(child.GetOwnerReferences()) != 0 {
		t.Errorf("owners %v", child.GetOwnerReferences())
	}
	p.must(404, "GET", configMaps+"/parent", "")
}

// An owner that is deleted in the foreground goes when all it owns is gone.
func TestDeleteInTheForeground(t *testing.T) {
	p := start(t)
	parent := p.create(configMap("default", "parent"))
	child := p.create(owned("child", parent))
	p.create(owned("grandchild", child))
	held := owned("held", parent)
	held.Finalizers = []string{"example.com/hold"}
	p.create(held)
	out := p.must(200, "DELETE", configMaps+"/parent?propagationPolicy=Foreground", "")
	if out.GetDeletionTimestamp() == nil || out.GetFinalizers()[0] != metav1.FinalizerDeleteDependents {
		t.Errorf("answer %s", out.body)
	}
	eventually(t, "what it owns is still there", func() bool { return !p.exists(configMaps+"/child") && !p.exists(configMaps+"/grandchild") })
	if !p.exists(configMaps + "/parent") {
		t.Error("the owner went before all it owns")
	}
	p.must(200, "PATCH", configMaps+"/held", `{"metadata":{"finalizers":null}}`)
	eventually(t, "the owner is still there", func() bool { return !p.exists(configMaps + "/parent") })
	p.refused(400, metav1.StatusReasonBadRequest, "propagationPolicy", "DELETE", configMaps+"/x?propagationPolicy=Sideways", "")
}

func TestDeleteWithFinalizersAndPreconditions(t *testing.T) {
	p := start(t)
	p.must(201, "POST", configMaps, `{"metadata":{"name":"c","finalizers":["example.com/hold"]}}`)
	p.refused(409, metav1.StatusReasonConflict, "UID in precondition: other", "DELETE", configMaps+"/c", `{"preconditions":{"uid":"other"}}`)
	p.refused(409, metav1.StatusReasonConflict, "ResourceVersion in precondition: 1", "DELETE", configMaps+"/c", `{"preconditions":{"resourceVersion":"1"}}`)
	out := p.must(200, "DELETE", configMaps+"/c", "")
	if out.GetDeletionTimestamp() == nil || out.GetKind() != "ConfigMap" {
		t.Errorf("answer %s", out.body)
	}
	p.must(200, "PATCH", configMaps+"/c", `{"metadata":{"finalizers":[]}}`)
	p.must(404, "GET", configMaps+"/c", "")
}

func TestDeleteCollection(t *testing.T) {
	p := start(t)
	for _, name := range []string{"a", "b", "c"} {
		p.must(201, "POST", configMaps, `{"metadata":{"name":"`+name+`","labels":{"is-`+name+`":""}}}`)
	}
	if out := p.must(200, "DELETE", configMaps+"?labelSelector=!is-b", ""); out.names() != "a c" {
		t.Errorf("deleted %s", out.names())
	}
	if left := p.must(200, "GET", configMaps, "").names(); left != "b" {
		t.Errorf("left %s", left)
	}
}

func TestPodsHaveTimeToEnd(t *testing.T) {
	p := start(t)
	const pods = "/api/v1/namespaces/default/pods"
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}}
	pod.Spec.TerminationGracePeriodSeconds = new(int64)
	*pod.Spec.TerminationGracePeriodSeconds = 300
	p.create(pod)
	out := p.must(200, "DELETE", pods+"/one", "")
	if out.field("metadata", "deletionGracePeriodSeconds") != "300" || time.Until(out.GetDeletionTimestamp().Time) < 290*time.Second {
		t.Errorf("answer %s", out.body)
	}
	p.must(200, "DELETE", pods+"/one?gracePeriodSeconds=0", "")
	p.must(404, "GET", pods+"/one", "")
}

func TestDeleteNamespace(t *testing.T) {
	p := start(t)
	made := p.must(201, "POST", "/api/v1/namespaces", `{"metadata":{"name":"shop"}}`)
	if made.field("status", "phase") != "Active" || made.GetLabels()[corev1.LabelMetadataName] != "shop" {
		t.Errorf("made %s", made.body)
	}
	shop := "/api/v1/namespaces/shop"
	p.must(201, "POST", shop+"/configmaps", `{"metadata":{"name":"held","finalizers":["example.com/hold"]}}`)
	p.must(201, "POST", shop+"/configmaps", `{"metadata":{"name":"free"}}`)
	p.must(201, "POST", shop+"/secrets", `{"metadata":{"name":"s"}}`)
	out := p.must(200, "DELETE", shop, "")
	if out.GetDeletionTimestamp() == nil {
		t.Errorf("answer %s", out.body)
	}
	eventually(t, "its objects are still there", func() bool { return !p.exists(shop+"/configmaps/free") && !p.exists(shop+"/secrets/s") })
	eventually(t, "it is not terminating", func() bool { return p.must(200, "GET", shop, "").field("status", "phase") == "Terminating" })
	p.refused(403, metav1.StatusReasonForbidden, `configmaps "late" is forbidden: unable to create new content in namespace shop because it is being terminated`, "POST", shop+"/configmaps", `{"metadata":{"name":"late"}}`)
	p.must(200, "PATCH", shop+"/configmaps/held", `{"metadata":{"finalizers":null}}`)
	eventually(t, "it is still there", func() bool { return !p.exists(shop) })
	p.must(201, "POST", "/api/v1/namespaces", `{"metadata":{"name":"shop"}}`)
	p.refused(403, metav1.StatusReasonForbidden, `namespaces "default" is forbidden: this namespace may not be deleted`, "DELETE", "/api/v1/namespaces/default", "")
	p.must(200, "DELETE", shop, "")
	eventually(t, "the empty one is still there", func() bool { return !p.exists(shop) })
}
