package control

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// visibilityLabel with the value cluster-local has a service answer functions only.
const visibilityLabel = "networking.knative.dev/visibility"

// localDomain ends the names by which functions call each other.
const localDomain = "svc.cluster.local"

// reconcileRoute works out where the requests of a route go, and marks the revisions
// that they go to.
func (c *Controller) reconcileRoute(t task) (time.Duration, error) {
	route, ok := store.Get[*servingv1.Route](c.Store, t.namespace, t.name)
	if !ok || route.DeletionTimestamp != nil {
		c.routes.watch(t.namespace, t.name, nil)
		c.paces.set(t.namespace, t.name, nil)
		return 0, c.unmark(t, nil)
	}
	after, err := reconcile(c, t, c.syncRoute)
	if err != nil {
		return 0, err
	}
	route, ok = store.Get[*servingv1.Route](c.Store, t.namespace, t.name)
	if !ok {
		return 0, nil
	}
	return after, c.markTargets(t, route)
}

func (c *Controller) syncRoute(route *servingv1.Route) (time.Duration, error) {
	if route.Generation != route.Status.ObservedGeneration {
		route.Status.MarkIngressNotConfigured()
	}
	found := assignTraffic(route, c.lookup(route.Namespace))
	// What is looked at has to be known before the next change of it; one that came in
	// between is seen by looking again.
	c.routes.watch(route.Namespace, route.Name, found.targets)
	found = assignTraffic(route, c.lookup(route.Namespace))
	c.routes.watch(route.Namespace, route.Name, found.targets)
	after := c.rollOut(route, &found)
	if !markRoute(route, found, c.Domain, func(tag string) bool { return c.private(route, tag) }) {
		return 0, nil
	}
	owned, err := c.placeholders(route)
	switch {
	case !owned || err != nil:
	case after > 0:
		route.Status.MarkIngressRolloutInProgress()
	default:
		route.GetConditionSet().Manage(&route.Status).MarkTrue(servingv1.RouteConditionIngressReady)
	}
	return after, err
}

// rollOut puts a step on the way in place of what a route is to have, where it says that
// it takes its time, and returns when the next step is.
func (c *Controller) rollOut(route *servingv1.Route, found *assignment) time.Duration {
	var next map[string]pace
	var due time.Time
	now := c.Now()
	if found.bad == nil && route.RolloutDuration() > 0 {
		found.traffic, next, due = rollOut(route, found.traffic, c.lookup(route.Namespace), c.paces.get(route), now)
	}
	c.paces.set(route.Namespace, route.Name, next)
	if due.IsZero() {
		return 0
	}
	return max(due.Sub(now), time.Millisecond)
}

func (c *Controller) lookup(namespace string) lookup {
	return lookup{
		configuration: func(name string) (*servingv1.Configuration, bool) {
			return store.Get[*servingv1.Configuration](c.Store, namespace, name)
		},
		revision: func(name string) (*servingv1.Revision, bool) {
			return store.Get[*servingv1.Revision](c.Store, namespace, name)
		},
	}
}

// markRoute writes the status of a route, and reports whether its requests have somewhere
// to go. Its ingress is the router of this process, which follows the status: nothing has
// to be waited for.
func markRoute(route *servingv1.Route, found assignment, domain string, private func(tag string) bool) bool {
	status := &route.Status
	url, err := routeURL(route, "", domain, private(""))
	if err != nil {
		status.MarkRevisionTargetTrafficError("ErrorConfig", err.Error())
		return false
	}
	status.URL = url
	if found.bad != nil {
		found.bad.mark(status)
		return false
	}
	traffic := slices.Clone(found.traffic)
	for i := range traffic {
		tag := traffic[i].Tag
		if tag == "" {
			continue
		}
		if traffic[i].URL, err = routeURL(route, tag, domain, private(tag)); err != nil {
			status.MarkRevisionTargetTrafficError("ErrorConfig", err.Error())
			return false
		}
	}
	status.Traffic = traffic
	status.MarkTrafficAssigned()
	status.Address = &duckv1.Addressable{URL: &apis.URL{Scheme: "http", Host: route.Name + "." + route.Namespace + "." + localDomain}}
	status.MarkTLSNotEnabled(servingv1.ExternalDomainTLSNotEnabledMessage)
	return true
}

// routeURL returns where a route, or a tag of it, is reached.
func routeURL(route *servingv1.Route, tag, domain string, private bool) (*apis.URL, error) {
	if private {
		domain = localDomain
	}
	host := placeholderName(route, tag) + "." + route.Namespace + "." + domain
	bare := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		bare = h
	}
	if errs := validation.IsFullyQualifiedDomainName(field.NewPath("url"), bare); len(errs) > 0 {
		return nil, fmt.Errorf("domain name error: invalid domain name %q: %w", bare, errs.ToAggregate())
	}
	return &apis.URL{Scheme: "http", Host: host}, nil
}

// markTargets has the revisions and configurations that a route sends requests to say
// so, and those that it no longer does, no longer.
func (c *Controller) markTargets(t task, route *servingv1.Route) error {
	wanted, settled := routeTargets(route, c.lookup(route.Namespace))
	if settled && (route.IsReady() || route.IsFailed()) {
		if err := c.unmark(t, wanted); err != nil {
			return err
		}
	}
	var failures []error
	for _, w := range wanted {
		failures = append(failures, c.markTarget(w, t.name, true))
	}
	return errors.Join(failures...)
}

// unmark takes a route off all that is marked with it, but for what is wanted.
func (c *Controller) unmark(t task, wanted []target) error {
	for _, marked := range c.routes.marked(t.namespace, t.name) {
		if !slices.Contains(wanted, marked) {
			if err := c.markTarget(marked, t.name, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// routeTargets returns the revisions and configurations that a route's status or spec
// names, and the newest revision where it follows a configuration: that one is about
// to get requests. While such a configuration has not said which one it is, settled is
// false.
func routeTargets(route *servingv1.Route, find lookup) (out []target, settled bool) {
	settled = true
	add := func(t target) {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	for _, traffic := range slices.Concat(route.Status.Traffic, route.Spec.Traffic) {
		name := traffic.ConfigurationName
		if traffic.RevisionName != "" {
			rev, ok := find.revision(traffic.RevisionName)
			if !ok {
				continue
			}
			add(target{kindRevision, route.Namespace, rev.Name})
			if config := rev.Labels[serving.ConfigurationLabelKey]; config != "" {
				name = config
			}
		}
		config, ok := find.configuration(name)
		if !ok {
			continue
		}
		add(target{kindConfiguration, route.Namespace, name})
		if traffic.LatestRevision == nil || !*traffic.LatestRevision {
			continue
		}
		settled = settled && config.Generation == config.Status.ObservedGeneration
		if latest := config.Status.LatestCreatedRevisionName; latest != "" {
			add(target{kindRevision, route.Namespace, latest})
		}
	}
	return out, settled
}

// markTarget writes a route into the annotation of a target, or takes it out, and the
// state that follows from it.
func (c *Controller) markTarget(t target, route string, on bool) error {
	var err error
	switch t.kind {
	case kindRevision:
		rev, ok := store.Get[*servingv1.Revision](c.Store, t.namespace, t.name)
		if !ok {
			return nil
		}
		if next := markRevision(rev, route, on, c.Now()); next != nil {
			_, err = c.Store.Update(next)
		}
	case kindConfiguration:
		config, ok := store.Get[*servingv1.Configuration](c.Store, t.namespace, t.name)
		if !ok {
			return nil
		}
		next := config.DeepCopy()
		if next.Annotations = withRoute(config.Annotations, route, on); !sameMeta(next, config) {
			_, err = c.Store.Update(next)
		}
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// markRevision returns a revision with the route in its annotation or without it, nil
// where it is as it should be.
func markRevision(rev *servingv1.Revision, route string, on bool, now time.Time) *servingv1.Revision {
	next := rev.DeepCopy()
	next.Annotations = withRoute(rev.Annotations, route, on)
	state := servingv1.RoutingStateReserve
	if len(routeList(next.Annotations)) > 0 {
		state = servingv1.RoutingStateActive
	}
	if next.GetRoutingState() != state {
		next.SetRoutingState(state, now)
	}
	if sameMeta(next, rev) {
		return nil
	}
	return next
}

// withRoute returns annotations with a route in the list, or without it.
func withRoute(annotations map[string]string, route string, on bool) map[string]string {
	routes := slices.DeleteFunc(routeList(annotations), func(name string) bool { return name == route })
	if on {
		routes = append(routes, route)
	}
	slices.Sort(routes)
	out := without(annotations, serving.RoutesAnnotationKey)
	if len(routes) > 0 {
		out[serving.RoutesAnnotationKey] = strings.Join(routes, ",")
	}
	return out
}
