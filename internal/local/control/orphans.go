package control

import (
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// collectOrphans deletes what belonged to an owner that is gone; t.name is its UID.
// What has another owner loses only the reference.
func (c *Controller) collectOrphans(t task) error {
	for _, object := range c.Store.Owned(types.UID(t.name)) {
		if err := c.collect(object); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) collect(object store.Object) error {
	var present []metav1.OwnerReference
	for _, owner := range object.GetOwnerReferences() {
		if c.exists(object.GetNamespace(), owner) {
			present = append(present, owner)
		}
	}
	switch {
	case len(present) == len(object.GetOwnerReferences()):
		return nil
	case len(present) > 0:
		next := cast[store.Object](object.DeepCopyObject())
		next.SetOwnerReferences(present)
		_, err := c.Store.Update(next)
		return ignoreNotFound(err)
	}
	uid := object.GetUID()
	return c.remove(object, metav1.Preconditions{UID: &uid})
}

// remove deletes an object; pods get their time to end.
func (c *Controller) remove(object store.Object, preconditions metav1.Preconditions) error {
	grace := int64(0)
	if pod, ok := object.(*corev1.Pod); ok {
		grace = corev1.DefaultTerminationGracePeriodSeconds
		if seconds := pod.Spec.TerminationGracePeriodSeconds; seconds != nil {
			grace = *seconds
		}
	}
	_, err := c.Store.Delete(c.Store.KindOf(object), object.GetNamespace(), object.GetName(), grace, &preconditions)
	if apierrors.IsConflict(err) {
		return nil // another object has this name by now
	}
	return ignoreNotFound(err)
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// owner returns the object that a reference names, nil where that is gone or another
// has its name.
func (c *Controller) owner(namespace string, reference metav1.OwnerReference) store.Object {
	kind := c.kind(schema.FromAPIVersionAndKind(reference.APIVersion, reference.Kind))
	if kind == nil {
		return nil
	}
	if !kind.Namespaced {
		namespace = ""
	}
	object, ok := c.Store.Get(kind, namespace, reference.Name)
	if !ok || object.GetUID() != reference.UID {
		return nil
	}
	return object
}

// exists reports whether an owner is there. One of a kind that the platform does not
// know is believed to be.
func (c *Controller) exists(namespace string, reference metav1.OwnerReference) bool {
	return c.kind(schema.FromAPIVersionAndKind(reference.APIVersion, reference.Kind)) == nil || c.owner(namespace, reference) != nil
}

func (c *Controller) kind(gvk schema.GroupVersionKind) *store.Kind {
	for _, kind := range c.Store.Kinds() {
		if kind.GroupVersionKind == gvk {
			return kind
		}
	}
	return nil
}

// ownerGone reports whether an object goes in a moment because what controls it, or what
// controls that, is gone.
func (c *Controller) ownerGone(object store.Object) bool {
	reference := metav1.GetControllerOf(object)
	if reference == nil || !c.exists(object.GetNamespace(), *reference) {
		return reference != nil
	}
	owner := c.owner(object.GetNamespace(), *reference)
	return owner != nil && c.ownerGone(owner)
}
