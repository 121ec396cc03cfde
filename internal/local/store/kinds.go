package store

import (
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// Object is an API object: a pointer to one of the structs of Kinds.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind is one kind of object.
type Kind struct {
	schema.GroupVersionKind
	Resource   string   // plural and lower case, as in a URL
	Short      []string // what kubectl calls it besides
	Namespaced bool
	// Kept objects outlast the platform; the others are about processes, which do not.
	Kept bool
	// Graceful objects stay, with a time of deletion, until Remove.
	Graceful bool
	New      func() Object
}

// GroupResource is how API errors call the kind.
func (k *Kind) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.Group, Resource: k.Resource}
}

// Kinds are those that a store has.
func Kinds() []*Kind {
	serving := servingv1.SchemeGroupVersion
	core := corev1.SchemeGroupVersion
	return []*Kind{
		{GroupVersionKind: serving.WithKind("Service"), Resource: "services", Short: []string{"kservice", "ksvc"}, Namespaced: true, Kept: true, New: func() Object { return &servingv1.Service{} }},
		{GroupVersionKind: serving.WithKind("Configuration"), Resource: "configurations", Short: []string{"config", "cfg"}, Namespaced: true, Kept: true, New: func() Object { return &servingv1.Configuration{} }},
		{GroupVersionKind: serving.WithKind("Revision"), Resource: "revisions", Short: []string{"rev"}, Namespaced: true, Kept: true, New: func() Object { return &servingv1.Revision{} }},
		{GroupVersionKind: serving.WithKind("Route"), Resource: "routes", Short: []string{"rt"}, Namespaced: true, Kept: true, New: func() Object { return &servingv1.Route{} }},
		{GroupVersionKind: autoscalingv1alpha1.SchemeGroupVersion.WithKind("PodAutoscaler"), Resource: "podautoscalers", Short: []string{"kpa", "pa"}, Namespaced: true, New: func() Object { return &autoscalingv1alpha1.PodAutoscaler{} }},
		{GroupVersionKind: appsv1.SchemeGroupVersion.WithKind("Deployment"), Resource: "deployments", Short: []string{"deploy"}, Namespaced: true, New: func() Object { return &appsv1.Deployment{} }},
		{GroupVersionKind: core.WithKind("Pod"), Resource: "pods", Short: []string{"po"}, Namespaced: true, Graceful: true, New: func() Object { return &corev1.Pod{} }},
		{GroupVersionKind: core.WithKind("Event"), Resource: "events", Short: []string{"ev"}, Namespaced: true, New: func() Object { return &corev1.Event{} }},
		{GroupVersionKind: core.WithKind("Namespace"), Resource: "namespaces", Short: []string{"ns"}, Kept: true, New: func() Object { return &corev1.Namespace{} }},
		{GroupVersionKind: core.WithKind("Secret"), Resource: "secrets", Namespaced: true, Kept: true, New: func() Object { return &corev1.Secret{} }},
		{GroupVersionKind: core.WithKind("ConfigMap"), Resource: "configmaps", Short: []string{"cm"}, Namespaced: true, Kept: true, New: func() Object { return &corev1.ConfigMap{} }},
		{GroupVersionKind: core.WithKind("ServiceAccount"), Resource: "serviceaccounts", Short: []string{"sa"}, Namespaced: true, Kept: true, New: func() Object { return &corev1.ServiceAccount{} }},
		{GroupVersionKind: core.WithKind("Service"), Resource: "services", Short: []string{"svc"}, Namespaced: true, Kept: true, New: func() Object { return &corev1.Service{} }},
		{GroupVersionKind: core.WithKind("Node"), Resource: "nodes", Short: []string{"no"}, New: func() Object { return &corev1.Node{} }},
	}
}

// KindOf returns the kind of T.
func (s *Store) KindOf(object Object) *Kind { return s.byType[reflect.TypeOf(object)] }

// Kind returns the kind that a URL names, nil for one that there is not.
func (s *Store) Kind(group, version, resource string) *Kind {
	for _, k := range s.kinds {
		if k.Group == group && k.Version == version && k.Resource == resource {
			return k
		}
	}
	return nil
}

// Kinds are the store's.
func (s *Store) Kinds() []*Kind { return s.kinds }
