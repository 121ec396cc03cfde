package control

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// changed adds the tasks that a change may call for.
func (c *Controller) changed(e store.Event) {
	object := e.Object
	namespace, name := object.GetNamespace(), object.GetName()
	switch o := object.(type) {
	case *servingv1.Service:
		c.queue.add(task{doService, namespace, name})
	case *servingv1.Configuration:
		c.queue.add(task{doConfiguration, namespace, name})
		// The service of this name may own it, or wait for the name to be free.
		c.queue.add(task{doService, namespace, name})
		c.referred(e, target{kindConfiguration, namespace, name})
	case *servingv1.Revision:
		c.revisionChanged(e, o)
	case *servingv1.Route:
		c.queue.add(task{doRoute, namespace, name})
		c.queue.add(task{doService, namespace, name})
	case *autoscalingv1alpha1.PodAutoscaler:
		c.queue.add(task{doRevision, namespace, name})
	case *appsv1.Deployment:
		c.queue.add(task{doDeployment, namespace, name})
		c.queue.add(task{doRevision, namespace, o.Labels[serving.RevisionLabelKey]})
	case *corev1.Pod:
		c.podChanged(o)
	case *corev1.Namespace:
		c.queue.add(task{doNamespace, "", name})
	case *corev1.ServiceAccount:
		c.accountChanged(e)
	case *corev1.Secret:
		c.digests.credentialsChanged(namespace)
	case *corev1.Service:
		if route, ok := o.Labels[serving.RouteLabelKey]; ok {
			c.queue.add(task{doRoute, namespace, route})
		} else if e.Change == store.Deleted {
			c.nameIsFree(namespace, name)
		}
	case *corev1.Event:
		if e.Change == store.Added {
			c.events.added(func() { c.queue.add(task{work: doExpire}) })
		}
	}
	if e.Change == store.Added && !c.alive(namespace) {
		// It came in when the namespace had been emptied already.
		c.queue.add(task{doNamespace, "", namespace})
	}
	c.ownership(e)
}

// ownership finds what has lost its owner: when that goes, and when something comes
// whose owner has gone before.
func (c *Controller) ownership(e store.Event) {
	switch e.Change {
	case store.Deleted:
		c.queue.add(task{doOrphans, "", string(e.Object.GetUID())})
	case store.Added:
		for _, owner := range e.Object.GetOwnerReferences() {
			if !c.exists(e.Object.GetNamespace(), owner) {
				c.queue.add(task{doOrphans, "", string(owner.UID)})
			}
		}
	case store.Modified:
	}
}

func (c *Controller) revisionChanged(e store.Event, rev *servingv1.Revision) {
	c.queue.add(task{doRevision, rev.Namespace, rev.Name})
	if owner := metav1.GetControllerOf(rev); owner != nil {
		c.queue.add(task{doConfiguration, rev.Namespace, owner.Name})
		old, _ := e.Old.(*servingv1.Revision)
		if old == nil || !equality.Semantic.DeepEqual(old.Labels, rev.Labels) || !equality.Semantic.DeepEqual(old.Annotations, rev.Annotations) {
			c.queue.add(task{doGarbage, rev.Namespace, owner.Name})
		}
	}
	if e.Change == store.Deleted {
		c.digests.forget(rev.UID)
	}
	c.referred(e, target{kindRevision, rev.Namespace, rev.Name})
}

// accountChanged wakes what may have waited for a service account.
func (c *Controller) accountChanged(e store.Event) {
	namespace, name := e.Object.GetNamespace(), e.Object.GetName()
	switch {
	case e.Change == store.Deleted && name == defaultAccount:
		c.queue.add(task{doNamespace, "", namespace})
	case e.Change == store.Added:
		for _, d := range store.List[*appsv1.Deployment](c.Store, namespace) {
			if accountOf(&d.Spec.Template.Spec) == name {
				c.queue.add(task{doDeployment, namespace, d.Name})
			}
		}
	}
	c.digests.credentialsChanged(namespace)
}

// nameIsFree wakes the routes that may have waited for the name of a Kubernetes service:
// it is theirs, or TAG-ROUTE.
func (c *Controller) nameIsFree(namespace, name string) {
	for {
		if _, ok := store.Get[*servingv1.Route](c.Store, namespace, name); ok {
			c.queue.add(task{doRoute, namespace, name})
		}
		_, rest, ok := strings.Cut(name, "-")
		if !ok {
			return
		}
		name = rest
	}
}

// podChanged wakes the deployment, and the revision that explains what is wrong
// with its pods.
func (c *Controller) podChanged(pod *corev1.Pod) {
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "Deployment" {
		c.queue.add(task{doDeployment, pod.Namespace, owner.Name})
		if revision, ok := pod.Labels[serving.RevisionLabelKey]; ok && !podReady(pod) && pod.DeletionTimestamp == nil {
			c.queue.add(task{doRevision, pod.Namespace, revision})
		}
	}
}

// referred notes which routes an object says it belongs to, and wakes the routes
// that look at it.
func (c *Controller) referred(e store.Event, t target) {
	var now []string
	if e.Change != store.Deleted {
		now = routeList(e.Object.GetAnnotations())
	}
	c.routes.mark(t, now)
	for _, route := range c.routes.watching(t) {
		c.queue.add(task{doRoute, t.namespace, route})
	}
	if e.Change == store.Added {
		// A route that was deleted while nobody was there to see it.
		for _, route := range now {
			c.queue.add(task{doRoute, t.namespace, route})
		}
	}
}

// routeList returns the routes that a revision or configuration is marked with.
func routeList(annotations map[string]string) []string {
	value := annotations[serving.RoutesAnnotationKey]
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}
