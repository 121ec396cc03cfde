package control

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/kmeta"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// A route has a Kubernetes service for itself and one for each tag. They hold the names
// against others, and people label them to make a route or a tag cluster-local. No
// request goes through them: the router has the names.

// placeholders makes the services of a route and deletes those that it no longer has. It
// reports whether they are the route's.
func (c *Controller) placeholders(route *servingv1.Route) (bool, error) {
	wanted := map[string]bool{}
	for _, tag := range routeTags(route) {
		want := desiredPlaceholder(route, tag, c.Domain)
		wanted[want.Name] = true
		if owned, err := c.placeholder(route, want); !owned || err != nil {
			return owned, err
		}
	}
	for _, object := range c.Store.Owned(route.UID) {
		service, ok := object.(*corev1.Service)
		if !ok || wanted[service.Name] {
			continue
		}
		if err := c.remove(service, metav1.Preconditions{UID: &service.UID}); err != nil {
			return true, err
		}
	}
	return true, nil
}

// routeTags returns the tags of a route that has its traffic, "" for the route itself
// first.
func routeTags(route *servingv1.Route) []string {
	tags := []string{""}
	for _, traffic := range route.Status.Traffic {
		tags = append(tags, traffic.Tag)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

func (c *Controller) placeholder(route *servingv1.Route, want *corev1.Service) (owned bool, err error) {
	have, ok := store.Get[*corev1.Service](c.Store, want.Namespace, want.Name)
	switch {
	case !ok:
		if _, err := create(c, want); err != nil {
			c.events.record(route, corev1.EventTypeWarning, "CreationFailed", "Failed to create placeholder service %q: %v", want.Name, err)
			return true, fmt.Errorf("failed to create placeholder service: %w", err)
		}
		c.events.record(route, corev1.EventTypeNormal, "Created", "Created placeholder service %q", want.Name)
		return true, nil
	case c.ownerGone(have):
		// Its deletion brings the route back.
		return true, nil
	case !metav1.IsControlledBy(have, route):
		route.Status.MarkServiceNotOwned(want.Name)
		c.events.record(route, corev1.EventTypeWarning, "InternalError", "route: %q does not own Service: %q", route.Name, want.Name)
		return false, nil
	}
	next := have.DeepCopy()
	next.Labels, next.Annotations, next.Spec = union(have.Labels, want.Labels), union(have.Annotations, want.Annotations), want.Spec
	if equality.Semantic.DeepEqual(have, next) {
		return true, nil
	}
	_, err = c.Store.Update(next)
	return true, ignoreNotFound(err)
}

// placeholderName returns the name that a route, or a tag of it, has in its namespace.
func placeholderName(route *servingv1.Route, tag string) string {
	if tag == "" {
		return route.Name
	}
	return tag + "-" + route.Name
}

func desiredPlaceholder(route *servingv1.Route, tag, domain string) *corev1.Service {
	protocol := "kubernetes.io/h2c"
	host, _, _ := strings.Cut(domain, ":")
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: placeholderName(route, tag), Namespace: route.Namespace,
			OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(route)},
			// Whether it is cluster-local is said of each by itself.
			Labels:      union(without(route.Labels, visibilityLabel), map[string]string{serving.RouteLabelKey: route.Name}),
			Annotations: union(route.Annotations, nil),
		},
		Spec: corev1.ServiceSpec{
			Type:            corev1.ServiceTypeExternalName,
			ExternalName:    placeholderName(route, tag) + "." + route.Namespace + "." + host,
			SessionAffinity: corev1.ServiceAffinityNone,
			Ports:           []corev1.ServicePort{{Name: "http2", AppProtocol: &protocol, Port: 80, TargetPort: intstr.FromInt32(80), Protocol: corev1.ProtocolTCP}},
		},
	}
}

// private reports whether a route, or a tag of it, answers functions only.
func (c *Controller) private(route *servingv1.Route, tag string) bool {
	if route.Labels[visibilityLabel] == serving.VisibilityClusterLocal {
		return true
	}
	service, ok := store.Get[*corev1.Service](c.Store, route.Namespace, placeholderName(route, tag))
	return ok && service.Labels[serving.RouteLabelKey] == route.Name && service.Labels[visibilityLabel] == serving.VisibilityClusterLocal
}
