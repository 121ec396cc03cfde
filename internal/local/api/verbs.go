package api

import (
	"net/http"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

func (s *Server) get(w *response, r *request) error {
	if r.sub == "log" {
		return s.podLog(w, r)
	}
	object, err := s.current(r)
	if err != nil {
		return err
	}
	return s.writeObject(w, r, http.StatusOK, object)
}

// current is the object that the path names.
func (s *Server) current(r *request) (store.Object, error) {
	object, ok := s.store.Get(r.kind, r.namespace, r.name)
	if !ok {
		return nil, apierrors.NewNotFound(r.kind.GroupResource(), r.name)
	}
	return object, nil
}

func (s *Server) create(w *response, r *request) error {
	if r.sub == "token" {
		return s.requestToken(w, r)
	}
	if err := r.checkOptions(); err != nil {
		return err
	}
	if r.kind.Namespaced && r.namespace == "" {
		return apierrors.NewMethodNotSupported(r.kind.GroupResource(), "create")
	}
	object, err := r.readObject(w)
	if err != nil {
		return err
	}
	made, err := s.createObject(w, r, object)
	if err != nil {
		return err
	}
	return s.writeObject(w, r, http.StatusCreated, made)
}

// createObject makes an object of what a client sent.
func (s *Server) createObject(w http.ResponseWriter, r *request, object store.Object) (store.Object, error) {
	if err := r.fillPlace(object); err != nil {
		return nil, err
	}
	if object.GetResourceVersion() != "" {
		return nil, badRequest("resourceVersion should not be set on objects to be created")
	}
	clearStatus(object)
	object.SetDeletionTimestamp(nil)
	object.SetDeletionGracePeriodSeconds(nil)
	s.trackFields(r, nil, object)
	return s.storeNew(w, r, object)
}

// storeNew admits and stores a new object.
func (s *Server) storeNew(w http.ResponseWriter, r *request, object store.Object) (store.Object, error) {
	object.SetManagedFields(append(object.GetManagedFields(), controllersEntry(r.kind)))
	if err := s.checkNamespace(r.kind, object); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		next := copyOf(object)
		generated := generateName(next)
		if err := s.admit(w, r, nil, next); err != nil {
			return nil, err
		}
		if r.dryRun() {
			return s.pretendCreate(r.kind, next)
		}
		made, err := s.store.Durable().Create(next)
		if generated && apierrors.IsAlreadyExists(err) && attempt < nameAttempts {
			continue
		}
		return made, err
	}
}

// nameAttempts is how often a generated name may be taken.
const nameAttempts = 8

// generateName gives a name to an object that has only the beginning of one.
func generateName(object store.Object) bool {
	prefix := object.GetGenerateName()
	if object.GetName() != "" || prefix == "" {
		return false
	}
	object.SetName(prefix[:min(len(prefix), 63-5)] + rand.String(5))
	return true
}

// fillPlace sets the namespace and the name that the path gives, and refuses others.
func (r *request) fillPlace(object store.Object) error {
	switch got := object.GetNamespace(); {
	case got == "" || got == r.namespace:
		object.SetNamespace(r.namespace)
	case !r.kind.Namespaced:
		return badRequest("namespace is not allowed on this type")
	default:
		return badRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	switch got := object.GetName(); {
	case r.name == "":
	case got == "":
		object.SetName(r.name)
	case got != r.name:
		return badRequest("the name of the object (%s) does not match the name on the URL (%s)", got, r.name)
	}
	return nil
}

// clearStatus: what a client says about it on creation does not count.
func clearStatus(object store.Object) {
	if status := reflect.ValueOf(object).Elem().FieldByName("Status"); status.IsValid() {
		status.SetZero()
	}
}

func (s *Server) update(w *response, r *request) error {
	if err := r.checkOptions(); err != nil {
		return err
	}
	next, err := r.readObject(w)
	if err != nil {
		return err
	}
	if err := r.fillPlace(next); err != nil {
		return err
	}
	old, err := s.current(r)
	if err != nil {
		return err
	}
	if r.sub == "finalize" {
		return s.finalize(w, r, old, next)
	}
	if next.GetResourceVersion() == "" && r.kind.Group == servingGroup {
		return required(r.kind, next)
	}
	stored, err := s.updateObject(w, r, old, next)
	if err != nil {
		return err
	}
	return s.writeObject(w, r, http.StatusOK, stored)
}

// updateObject makes next of old. A version in next has to be the stored one's.
func (s *Server) updateObject(w http.ResponseWriter, r *request, old, next store.Object) (store.Object, error) {
	if err := checkVersion(r.kind, old, next); err != nil {
		return nil, err
	}
	next = r.confine(old, next)
	s.trackFields(r, old, next)
	return s.storeChanged(w, r, old, next)
}

// confine is next without what a request cannot change: what the system sets, and
// the status or all but the status.
func (r *request) confine(old, next store.Object) store.Object {
	if r.sub == "status" {
		return withStatus(old, next)
	}
	next.SetCreationTimestamp(old.GetCreationTimestamp())
	next.SetUID(old.GetUID())
	next.SetDeletionTimestamp(old.GetDeletionTimestamp())
	next.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	next.SetGeneration(old.GetGeneration())
	copyStatus(next, old)
	return next
}

// storeChanged admits and stores a changed object.
func (s *Server) storeChanged(w http.ResponseWriter, r *request, old, next store.Object) (store.Object, error) {
	write := s.store.Durable().Update
	if r.sub == "status" {
		write = s.store.Durable().UpdateStatus
	} else if err := s.admit(w, r, old, next); err != nil {
		return nil, err
	}
	if r.dryRun() {
		return s.pretendUpdate(old, next), nil
	}
	return write(next)
}

// withStatus is old with next's status and version.
func withStatus(old, next store.Object) store.Object {
	out := copyOf(old)
	out.SetResourceVersion(next.GetResourceVersion())
	out.SetManagedFields(next.GetManagedFields())
	copyStatus(out, next)
	return out
}

func copyStatus(to, from store.Object) {
	if field := reflect.ValueOf(to).Elem().FieldByName("Status"); field.IsValid() {
		field.Set(reflect.ValueOf(copyOf(from)).Elem().FieldByName("Status"))
	}
}

func copyOf(object store.Object) store.Object {
	out, ok := object.DeepCopyObject().(store.Object)
	if !ok {
		panic("a deep copy of another kind")
	}
	return out
}
