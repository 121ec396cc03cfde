package api

import (
	"context"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// A deletion takes more than one step where an object stays until others are
// gone: a namespace until it is empty, and an owner that is deleted in the
// foreground until what it owns is gone. A finalizer holds the object meanwhile,
// and Run takes it away.

// namespaceFinalizer holds a namespace. A cluster has it in spec.finalizers.
const namespaceFinalizer = string(corev1.FinalizerKubernetes)

func finalizerFor(kind *store.Kind, o *metav1.DeleteOptions) string {
	switch {
	case kind.Kind == "Namespace":
		return namespaceFinalizer
	case o.PropagationPolicy != nil && *o.PropagationPolicy == metav1.DeletePropagationForeground:
		return metav1.FinalizerDeleteDependents
	}
	return ""
}

func (s *Server) addFinalizer(object store.Object, finalizer string) error {
	return s.change(object, s.store.Update, func(next store.Object) {
		if !slices.Contains(next.GetFinalizers(), finalizer) && next.GetDeletionTimestamp() == nil {
			next.SetFinalizers(append(next.GetFinalizers(), finalizer))
		}
	})
}

func (s *Server) removeFinalizer(object store.Object, finalizer string) error {
	return s.change(object, s.store.Update, func(next store.Object) {
		next.SetFinalizers(slices.DeleteFunc(next.GetFinalizers(), func(f string) bool { return f == finalizer }))
	})
}

// disown takes an object out of the owners of all that it owns.
func (s *Server) disown(owner store.Object) error {
	for _, owned := range s.store.Owned(owner.GetUID()) {
		err := s.change(owned, s.store.Durable().Update, func(next store.Object) {
			next.SetOwnerReferences(slices.DeleteFunc(next.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == owner.GetUID() }))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// change edits an object, whatever version of it is stored, if it is there still.
func (s *Server) change(object store.Object, update func(store.Object) (store.Object, error), edit func(store.Object)) error {
	kind := s.store.KindOf(object)
	for {
		current, ok := s.store.Get(kind, object.GetNamespace(), object.GetName())
		if !ok || current.GetUID() != object.GetUID() {
			return nil
		}
		next := copyOf(current)
		edit(next)
		if _, err := update(next); !apierrors.IsConflict(err) {
			return ignoreNotFound(err)
		}
	}
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Run ends what deletions began, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	return store.Follow(ctx, s.advanceAll, s.followDeletion)
}

// advanceAll looks at all objects, and watches for changes from then on.
func (s *Server) advanceAll() *store.Watch {
	from := s.store.Version()
	for _, kind := range s.store.Kinds() {
		items, _ := s.store.List(kind, "")
		for _, item := range items {
			s.advance(item)
		}
	}
	return s.store.Watch(from)
}

func (s *Server) followDeletion(change store.Event) {
	if change.Change != store.Deleted {
		s.advance(change.Object)
		return
	}
	s.advanceNamespace(change.Object.GetNamespace())
	for _, owner := range change.Object.GetOwnerReferences() {
		s.advanceOwner(change.Object.GetNamespace(), owner)
	}
}

// advance does what the deletion of an object waits for.
func (s *Server) advance(object store.Object) {
	if object.GetDeletionTimestamp() == nil {
		return
	}
	if _, ok := object.(*corev1.Namespace); ok {
		s.advanceNamespace(object.GetName())
	}
	if slices.Contains(object.GetFinalizers(), metav1.FinalizerDeleteDependents) {
		s.deleteOwned(object)
	}
}

func (s *Server) advanceOwner(namespace string, ref metav1.OwnerReference) {
	for _, kind := range s.store.Kinds() {
		if kind.Kind != ref.Kind || kind.GroupVersion().String() != ref.APIVersion {
			continue
		}
		if owner, ok := s.store.Get(kind, namespace, ref.Name); ok && owner.GetUID() == ref.UID {
			s.advance(owner)
		}
	}
}

// deleteOwned deletes in the foreground what an object owns, and lets the object
// go once that is gone.
func (s *Server) deleteOwned(owner store.Object) {
	owned := s.store.Owned(owner.GetUID())
	if len(owned) == 0 {
		s.note(s.removeFinalizer(owner, metav1.FinalizerDeleteDependents))
		return
	}
	for _, object := range owned {
		if object.GetDeletionTimestamp() != nil {
			continue
		}
		if len(s.store.Owned(object.GetUID())) > 0 {
			s.note(s.addFinalizer(object, metav1.FinalizerDeleteDependents))
		}
		s.deleteNow(object)
	}
}

// advanceNamespace deletes what is in a namespace that is to be deleted, and then
// the namespace.
func (s *Server) advanceNamespace(name string) {
	namespace, ok := store.Get[*corev1.Namespace](s.store, "", name)
	if !ok || namespace.DeletionTimestamp == nil {
		return
	}
	if namespace.Status.Phase != corev1.NamespaceTerminating {
		next := namespace.DeepCopy()
		next.Status.Phase = corev1.NamespaceTerminating
		_, err := s.store.UpdateStatus(next)
		s.note(ignoreNotFound(err))
	}
	left := 0
	for _, kind := range s.store.Kinds() {
		if !kind.Namespaced {
			continue
		}
		items, _ := s.store.List(kind, name)
		for _, item := range items {
			if left++; item.GetDeletionTimestamp() == nil {
				s.deleteNow(item)
			}
		}
	}
	if left == 0 {
		s.note(s.removeFinalizer(namespace, namespaceFinalizer))
	}
}

// finalize lets a namespace go that waits for what will not happen.
func (s *Server) finalize(w *response, r *request, old, next store.Object) error {
	namespace, ok := next.(*corev1.Namespace)
	if ok && len(namespace.Spec.Finalizers) == 0 {
		if err := s.removeFinalizer(old, namespaceFinalizer); err != nil {
			return err
		}
	}
	return s.writeObject(w, r, http.StatusOK, old)
}

func (s *Server) deleteNow(object store.Object) {
	_, err := s.store.Delete(s.store.KindOf(object), object.GetNamespace(), object.GetName(), graceFor(object, &metav1.DeleteOptions{}), sameObject(object))
	s.note(ignoreNotFound(err))
}

// note reports what nobody waits for.
func (s *Server) note(err error) {
	if err != nil && !apierrors.IsConflict(err) {
		s.report("deletion: " + err.Error())
	}
}
