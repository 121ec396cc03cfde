package api

import (
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// deletesAtOnce is how many objects of a collection are deleted at a time.
const deletesAtOnce = 64

// defaultGrace is how long a pod has to end that does not say itself.
const defaultGrace = 30

func (s *Server) delete(w *response, r *request) error {
	options, err := r.deleteOptions(w)
	if err != nil {
		return err
	}
	object, err := s.current(r)
	if err != nil {
		return err
	}
	left, err := s.deleteObject(r, object, options)
	if err != nil {
		return err
	}
	if left != nil {
		return s.writeObject(w, r, http.StatusOK, left)
	}
	return writeJSON(w, r.view, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: object.GetName(), Group: r.kind.Group, Kind: r.kind.Resource, UID: object.GetUID()},
	})
}

func (s *Server) deleteCollection(w *response, r *request) error {
	options, err := r.deleteOptions(w)
	if err != nil {
		return err
	}
	if r.kind.Namespaced && r.namespace == "" {
		return apierrors.NewMethodNotSupported(r.kind.GroupResource(), "delete")
	}
	chosen, err := r.selection()
	if err != nil {
		return err
	}
	items, _ := s.store.List(r.kind, r.namespace)
	items = slices.DeleteFunc(items, func(o store.Object) bool { return !chosen.matches(o) })
	// At once, so that they share what they write to the disk.
	all, _ := parallel.WithContext(r.Context())
	all.SetLimit(deletesAtOnce)
	for _, item := range items {
		all.Go(func() error {
			_, err := s.deleteObject(r, item, options)
			return ignoreNotFound(err)
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	return writeJSON(w, r.view, http.StatusOK, s.showList(r, items, metav1.ListMeta{ResourceVersion: versionText(s.store.Version())}))
}

// deleteOptions are the body's, and the query's over them.
func (r *request) deleteOptions(w *response) (*metav1.DeleteOptions, error) {
	options := &metav1.DeleteOptions{}
	raw, err := readBody(w, r.Request)
	if err != nil {
		return nil, err
	}
	if err := readInto(r.Request, raw, options); err != nil {
		return nil, err
	}
	if policy := metav1.DeletionPropagation(r.query.Get("propagationPolicy")); policy != "" {
		options.PropagationPolicy = &policy
	}
	if r.query.Has("gracePeriodSeconds") {
		seconds, err := number(r, "gracePeriodSeconds")
		if err != nil {
			return nil, err
		}
		options.GracePeriodSeconds = &seconds
	}
	if r.query.Has("dryRun") {
		options.DryRun = r.query["dryRun"]
	}
	return options, checkDelete(options)
}

func checkDelete(o *metav1.DeleteOptions) error {
	if o.GracePeriodSeconds != nil && *o.GracePeriodSeconds < 0 {
		// A cluster takes it for the shortest there is.
		*o.GracePeriodSeconds = 1
	}
	for _, value := range o.DryRun {
		if value != metav1.DryRunAll {
			return badRequest("dryRun: Unsupported value: %q: supported values: \"All\"", value)
		}
	}
	if o.PropagationPolicy == nil {
		return nil
	}
	switch *o.PropagationPolicy {
	case metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan:
		return nil
	}
	return badRequest("propagationPolicy: Unsupported value: %q: supported values: \"Background\", \"Foreground\", \"Orphan\"", *o.PropagationPolicy)
}

// deleteObject deletes an object, or begins to: left is then what there is still.
func (s *Server) deleteObject(r *request, object store.Object, o *metav1.DeleteOptions) (left store.Object, err error) {
	if r.kind.Kind == "Namespace" && object.GetName() == metav1.NamespaceDefault {
		return nil, apierrors.NewForbidden(r.kind.GroupResource(), object.GetName(), reason("this namespace may not be deleted"))
	}
	if err := checkPreconditions(r.kind, object, o.Preconditions); err != nil {
		return nil, err
	}
	if len(o.DryRun) > 0 {
		return nil, nil
	}
	if o.PropagationPolicy != nil && *o.PropagationPolicy == metav1.DeletePropagationOrphan {
		if err := s.disown(object); err != nil {
			return nil, err
		}
	}
	if finalizer := finalizerFor(r.kind, o); finalizer != "" {
		if err := s.addFinalizer(object, finalizer); err != nil {
			return nil, err
		}
	}
	if _, err := s.store.Durable().Delete(r.kind, object.GetNamespace(), object.GetName(), graceFor(object, o), sameObject(object)); err != nil {
		return nil, err
	}
	left, _ = s.store.Get(r.kind, object.GetNamespace(), object.GetName())
	if left != nil && left.GetUID() != object.GetUID() {
		left = nil
	}
	return left, nil
}

func checkPreconditions(kind *store.Kind, object store.Object, p *metav1.Preconditions) error {
	switch {
	case p == nil:
	case p.UID != nil && *p.UID != object.GetUID():
		return apierrors.NewConflict(kind.GroupResource(), object.GetName(), reason("Precondition failed: UID in precondition: "+string(*p.UID)+", UID in object meta: "+string(object.GetUID())))
	case p.ResourceVersion != nil && *p.ResourceVersion != object.GetResourceVersion():
		return apierrors.NewConflict(kind.GroupResource(), object.GetName(), reason("Precondition failed: ResourceVersion in precondition: "+*p.ResourceVersion+", ResourceVersion in object meta: "+object.GetResourceVersion()))
	}
	return nil
}

// graceFor is how many seconds an object has to end.
func graceFor(object store.Object, o *metav1.DeleteOptions) int64 {
	pod, ok := object.(*corev1.Pod)
	switch {
	case !ok:
		return 0
	case o.GracePeriodSeconds != nil:
		return *o.GracePeriodSeconds
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		return *pod.Spec.TerminationGracePeriodSeconds
	}
	return defaultGrace
}

// sameObject wants the object to be the one that was looked at.
func sameObject(object store.Object) *metav1.Preconditions {
	uid := object.GetUID()
	return &metav1.Preconditions{UID: &uid}
}
