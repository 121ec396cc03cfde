package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/kmeta"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// syncService makes the configuration and the route of a service, and takes over
// what they say.
func (c *Controller) syncService(svc *servingv1.Service) (time.Duration, error) {
	config, err := c.serviceConfiguration(svc)
	if config == nil || err != nil {
		return 0, err
	}
	if config.Generation == config.Status.ObservedGeneration {
		svc.Status.PropagateConfigurationStatus(&config.Status)
	} else {
		svc.Status.MarkConfigurationNotReconciled()
		if config.Spec.Template.Name != "" {
			// The route must not send requests to a revision of this name before it is
			// known whose it is.
			return 0, nil
		}
	}
	if _, err := c.namedRevision(config); apierrors.IsAlreadyExists(err) {
		svc.Status.MarkRevisionNameTaken(config.Spec.Template.Name)
		return 0, nil
	}
	route, err := c.serviceRoute(svc)
	if route == nil || err != nil {
		return 0, err
	}
	propagateRoute(svc, config, route)
	return 0, nil
}

// propagateRoute takes the route's status over into the service's.
func propagateRoute(svc *servingv1.Service, config *servingv1.Configuration, route *servingv1.Route) {
	if route.Generation != route.Status.ObservedGeneration {
		svc.Status.MarkRouteNotReconciled()
		return
	}
	svc.Status.PropagateRouteStatus(&route.Status)
	if svc.Status.GetCondition(servingv1.ServiceConditionRoutesReady).IsTrue() && !migrated(config, route) {
		svc.Status.MarkRouteNotYetReady()
	}
}

// migrated reports whether requests go where the route's spec says as of now: to the
// latest ready revision, where it names the configuration.
func migrated(config *servingv1.Configuration, route *servingv1.Route) bool {
	return slices.EqualFunc(route.Spec.Traffic, route.Status.Traffic, func(want, got servingv1.TrafficTarget) bool {
		revision := want.RevisionName
		if want.ConfigurationName == config.Name {
			revision = config.Status.LatestReadyRevisionName
		}
		return got.RevisionName == revision && got.Tag == want.Tag && percent(got) == percent(want)
	})
}

func percent(t servingv1.TrafficTarget) int64 {
	if t.Percent == nil {
		return 0
	}
	return *t.Percent
}

// serviceConfiguration returns the service's configuration, made or brought up to
// date; nil where another has its name.
func (c *Controller) serviceConfiguration(svc *servingv1.Service) (*servingv1.Configuration, error) {
	have, ok := store.Get[*servingv1.Configuration](c.Store, svc.Namespace, svc.Name)
	switch {
	case !ok:
		config, err := create(c, desiredConfiguration(svc, nil))
		if err != nil {
			return nil, c.notCreated(svc, "Configuration", svc.Name, err)
		}
		c.events.record(svc, corev1.EventTypeNormal, "Created", "Created Configuration %q", svc.Name)
		return config, nil
	case c.ownerGone(have):
		return nil, nil // it goes with the service that had this name before
	case !metav1.IsControlledBy(have, svc):
		svc.Status.MarkConfigurationNotOwned(svc.Name)
		c.events.record(svc, corev1.EventTypeWarning, "InternalError", "service: %q does not own configuration: %q", svc.Name, svc.Name)
		return nil, nil
	}
	want := desiredConfiguration(svc, have)
	if sameMeta(have, want) && equality.Semantic.DeepEqual(have.Spec, want.Spec) {
		return have, nil
	}
	next := have.DeepCopy()
	next.Labels, next.Annotations, next.Spec = want.Labels, want.Annotations, want.Spec
	return update(c, next)
}

func (c *Controller) serviceRoute(svc *servingv1.Service) (*servingv1.Route, error) {
	have, ok := store.Get[*servingv1.Route](c.Store, svc.Namespace, svc.Name)
	switch {
	case !ok:
		route, err := create(c, desiredRoute(svc))
		if err != nil {
			return nil, c.notCreated(svc, "Route", svc.Name, err)
		}
		c.events.record(svc, corev1.EventTypeNormal, "Created", "Created Route %q", svc.Name)
		return route, nil
	case c.ownerGone(have):
		return nil, nil
	case !metav1.IsControlledBy(have, svc):
		svc.Status.MarkRouteNotOwned(svc.Name)
		c.events.record(svc, corev1.EventTypeWarning, "InternalError", "service: %q does not own route: %q", svc.Name, svc.Name)
		return nil, nil
	}
	want := desiredRoute(svc)
	if sameMeta(have, want) && equality.Semantic.DeepEqual(have.Spec, want.Spec) {
		return have, nil
	}
	next := have.DeepCopy()
	next.Labels, next.Annotations, next.Spec = want.Labels, want.Annotations, want.Spec
	return update(c, next)
}

// notCreated records that an owner's dependent could not be created.
func (c *Controller) notCreated(owner store.Object, kind, name string, err error) error {
	c.events.record(owner, corev1.EventTypeWarning, "CreationFailed", "Failed to create %s %q: %v", kind, name, err)
	return fmt.Errorf("failed to create %s: %w", kind, err)
}

func sameMeta(a, b metav1.Object) bool {
	return maps.Equal(a.GetLabels(), b.GetLabels()) && maps.Equal(a.GetAnnotations(), b.GetAnnotations())
}

// desiredConfiguration returns the configuration of a service. The routes that have
// marked it stay in its annotation.
func desiredConfiguration(svc *servingv1.Service, existing *servingv1.Configuration) *servingv1.Configuration {
	routes := []string{svc.Name}
	if existing != nil {
		routes = append(routes, routeList(existing.Annotations)...)
	}
	slices.Sort(routes)
	annotations := without(svc.Annotations, append([]string{corev1.LastAppliedConfigAnnotation}, serving.RolloutDurationAnnotation...)...)
	annotations[serving.RoutesAnnotationKey] = strings.Join(slices.Compact(routes), ",")
	config := &servingv1.Configuration{
		ObjectMeta: metav1.ObjectMeta{
			Name: svc.Name, Namespace: svc.Namespace,
			OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(svc)},
			Annotations:     annotations,
			Labels: union(svc.Labels, map[string]string{
				serving.ServiceLabelKey:    svc.Name,
				serving.ServiceUIDLabelKey: string(svc.UID),
			}),
		},
		Spec: *svc.Spec.ConfigurationSpec.DeepCopy(),
	}
	if existing == nil {
		config.SetDefaults(context.Background())
	}
	return config
}

// desiredRoute returns the route of a service: what does not name a revision follows the
// service's configuration.
func desiredRoute(svc *servingv1.Service) *servingv1.Route {
	route := &servingv1.Route{
		ObjectMeta: metav1.ObjectMeta{
			Name: svc.Name, Namespace: svc.Namespace,
			OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(svc)},
			Annotations:     without(svc.Annotations, corev1.LastAppliedConfigAnnotation),
			Labels:          union(svc.Labels, map[string]string{serving.ServiceLabelKey: svc.Name}),
		},
		Spec: *svc.Spec.RouteSpec.DeepCopy(),
	}
	for i := range route.Spec.Traffic {
		if route.Spec.Traffic[i].RevisionName == "" {
			route.Spec.Traffic[i].ConfigurationName = svc.Name
		}
	}
	route.SetDefaults(context.Background())
	return route
}

// without returns a copy of a map that lacks some keys, never nil.
func without(m map[string]string, drop ...string) map[string]string {
	out := make(map[string]string, len(m)+1)
	for k, v := range m {
		if !slices.Contains(drop, k) {
			out[k] = v
		}
	}
	return out
}

// union returns a map with the entries of both; b's count where they differ.
func union(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}
