// Package store holds the embedded platform's API objects: in memory, with the
// ones that are to outlast it in one file (bbolt). It gives what the Kubernetes
// API promises of its storage: one version counter for all objects, refused
// writes on old versions, watches from a version on, deletion in two steps.
//
// Objects that a Store hands out are shared: a caller that wants to change one
// makes a DeepCopy first. Errors are those of apimachinery (NotFound, Conflict,
// AlreadyExists, Gone), with the names that a cluster would use.
package store

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// Store is safe for concurrent use.
type Store struct {
	kinds  []*Kind
	byType map[reflect.Type]*Kind
	disk   *disk // nil: in memory only

	mu      sync.RWMutex
	version uint64 // of the last change
	objects map[*Kind]map[string]Object
	index   index
	log     history
	// writing are the places of durable writes under way: closed when they are over.
	writing map[place]chan struct{}
}

// Open reads the objects kept in the file path and makes it where there is none;
// "" is a store that forgets everything.
func Open(path string) (*Store, error) {
	s := &Store{kinds: Kinds(), byType: map[reflect.Type]*Kind{}, objects: map[*Kind]map[string]Object{}, index: index{}, writing: map[place]chan struct{}{}}
	for _, k := range s.kinds {
		s.byType[reflect.TypeOf(k.New())] = k
		s.objects[k] = map[string]Object{}
	}
	if path != "" {
		disk, err := openDisk(path)
		if err != nil {
			return nil, err
		}
		if err := disk.load(s); err != nil {
			return nil, disk.abandon(err)
		}
		s.disk = disk
	}
	s.log.begin(s.version)
	return s, nil
}

// Close writes what is not written yet.
func (s *Store) Close() error {
	if s.disk == nil {
		return nil
	}
	return s.disk.close()
}

// Flush returns when every change made before is on the disk.
func (s *Store) Flush() error {
	if s.disk == nil {
		return nil
	}
	return s.disk.flush()
}

// Get returns the object of T's kind with this name; ok is false where there is none.
func Get[T Object](s *Store, namespace, name string) (object T, ok bool) {
	found, ok := s.Get(s.byType[reflect.TypeFor[T]()], namespace, name)
	if !ok {
		return object, false
	}
	object, ok = found.(T)
	return object, ok
}

// List returns the objects of T's kind in a namespace, "" for all, by name.
func List[T Object](s *Store, namespace string) []T {
	items, _ := s.List(s.byType[reflect.TypeFor[T]()], namespace)
	return typed[T](items)
}

// Labelled returns T's with a label that is in the index, by name.
func Labelled[T Object](s *Store, namespace, label, value string) []T {
	return typed[T](s.indexed(s.byType[reflect.TypeFor[T]()], namespace, label+"="+value))
}

func typed[T Object](items []Object) []T {
	out := make([]T, 0, len(items))
	for _, item := range items {
		if t, ok := item.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

// Get returns the object of a kind with this name.
func (s *Store) Get(kind *Kind, namespace, name string) (Object, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	object, ok := s.objects[kind][key(namespace, name)]
	return object, ok
}

// List returns the objects of a kind in a namespace, "" for all, by namespace and
// name, with the version that a watch goes on from.
func (s *Store) List(kind *Kind, namespace string) ([]Object, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Object, 0, len(s.objects[kind]))
	for _, object := range s.objects[kind] {
		if namespace == "" || object.GetNamespace() == namespace {
			out = append(out, object)
		}
	}
	sortByName(out)
	return out, s.version
}

// Owned returns the objects of all kinds that name uid among their owners.
func (s *Store) Owned(uid types.UID) []Object {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Object
	for at := range s.index[ownerLabel+"="+string(uid)] {
		out = append(out, s.objects[at.kind][at.key])
	}
	sortByName(out)
	return out
}

// Create adds an object, with a name of its own where it has only GenerateName,
// and returns it as stored.
func (s *Store) Create(object Object) (Object, error) { return s.create(object, soon) }

func (s *Store) create(object Object, when durability) (Object, error) {
	kind := s.KindOf(object)
	object = clone(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	if object.GetName() == "" {
		object.SetName(s.generateName(kind, object))
	}
	at := place{kind, key(object.GetNamespace(), object.GetName())}
	s.wait(at)
	if s.objects[kind][at.key] != nil {
		return nil, apierrors.NewAlreadyExists(kind.GroupResource(), object.GetName())
	}
	object.GetObjectKind().SetGroupVersionKind(kind.GroupVersionKind)
	object.SetUID(uuid.NewUUID())
	object.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	if reflect.ValueOf(object).Elem().FieldByName("Spec").IsValid() {
		object.SetGeneration(1)
	}
	object.SetDeletionTimestamp(nil)
	if err := s.put(kind, Added, object, when); err != nil {
		return nil, err
	}
	return object, nil
}

// Update replaces all of an object but its status. A ResourceVersion that it has
// must be the stored one's. Its generation grows when its spec changes; without
// any change there is no new version. What was to be deleted and has no finalizer
// any longer is removed.
func (s *Store) Update(object Object) (Object, error) { return s.replace(object, withStatus, soon) }

// UpdateStatus replaces the status of an object and nothing else.
func (s *Store) UpdateStatus(object Object) (Object, error) {
	return s.replace(object, onlyStatus, soon)
}

// withStatus gives next the status of old.
func withStatus(old, next Object) { copyField(next, old, "Status") }

// onlyStatus makes next old but for its status.
func onlyStatus(old, next Object) {
	status := clone(next)
	reflect.ValueOf(next).Elem().Set(reflect.ValueOf(clone(old)).Elem())
	copyField(next, status, "Status")
}

func (s *Store) replace(object Object, merge func(old, next Object), when durability) (Object, error) {
	kind := s.KindOf(object)
	next := clone(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait(place{kind, key(object.GetNamespace(), object.GetName())})
	old, err := s.current(kind, object)
	if err != nil {
		return nil, err
	}
	merge(old, next)
	next.GetObjectKind().SetGroupVersionKind(kind.GroupVersionKind)
	next.SetUID(old.GetUID())
	next.SetCreationTimestamp(old.GetCreationTimestamp())
	next.SetDeletionTimestamp(old.GetDeletionTimestamp())
	next.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	next.SetResourceVersion(old.GetResourceVersion())
	next.SetGeneration(old.GetGeneration())
	if equality.Semantic.DeepEqual(old, next) {
		return old, nil
	}
	if !sameField(old, next, "Spec") {
		next.SetGeneration(old.GetGeneration() + 1)
	}
	if next.GetDeletionTimestamp() != nil && len(next.GetFinalizers()) == 0 && !kind.Graceful {
		err = s.drop(kind, next, when)
	} else {
		err = s.put(kind, Modified, next, when)
	}
	if err != nil {
		return nil, err
	}
	return next, nil
}

// current is the stored object that one with the same name wants to replace.
func (s *Store) current(kind *Kind, object Object) (Object, error) {
	old := s.objects[kind][key(object.GetNamespace(), object.GetName())]
	if old == nil {
		return nil, apierrors.NewNotFound(kind.GroupResource(), object.GetName())
	}
	version, uid := object.GetResourceVersion(), object.GetUID()
	if version != "" && version != old.GetResourceVersion() || uid != "" && uid != old.GetUID() {
		return nil, apierrors.NewConflict(kind.GroupResource(), object.GetName(), errModified{})
	}
	return old, nil
}

// errModified is what a cluster says of an old version.
type errModified struct{}

func (errModified) Error() string {
	return "the object has been modified; please apply your changes to the latest version and try again"
}

// Delete removes an object, or marks it as to be deleted while it has finalizers
// or belongs to a graceful kind: grace is then how many seconds it has at most,
// and 0 does not wait. What it owns stays: see Owned.
func (s *Store) Delete(kind *Kind, namespace, name string, grace int64, preconditions *metav1.Preconditions) (Object, error) {
	return s.delete(kind, namespace, name, grace, preconditions, soon)
}

func (s *Store) delete(kind *Kind, namespace, name string, grace int64, preconditions *metav1.Preconditions, when durability) (Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait(place{kind, key(namespace, name)})
	old := s.objects[kind][key(namespace, name)]
	if old == nil {
		return nil, apierrors.NewNotFound(kind.GroupResource(), name)
	}
	if p := preconditions; p != nil {
		if p.UID != nil && *p.UID != old.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != old.GetResourceVersion() {
			return nil, apierrors.NewConflict(kind.GroupResource(), name, errModified{})
		}
	}
	if len(old.GetFinalizers()) == 0 && (!kind.Graceful || grace == 0) {
		return old, s.drop(kind, clone(old), when)
	}
	if old.GetDeletionTimestamp() != nil {
		return old, nil
	}
	next := clone(old)
	end := metav1.NewTime(time.Now().Add(time.Duration(grace) * time.Second).Truncate(time.Second))
	next.SetDeletionTimestamp(&end)
	next.SetDeletionGracePeriodSeconds(&grace)
	return next, s.put(kind, Modified, next, when)
}

// Remove ends what Delete began with a graceful object, if it is still this one.
func (s *Store) Remove(object Object) {
	kind := s.KindOf(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := place{kind, key(object.GetNamespace(), object.GetName())}
	s.wait(at)
	old := s.objects[kind][at.key]
	if old != nil && old.GetUID() == object.GetUID() {
		_ = s.drop(kind, clone(old), soon) // which does not fail
	}
}

func key(namespace, name string) string { return namespace + "/" + name }

func sortByName(objects []Object) {
	slices.SortFunc(objects, func(a, b Object) int {
		if c := strings.Compare(a.GetNamespace(), b.GetNamespace()); c != 0 {
			return c
		}
		return strings.Compare(a.GetName(), b.GetName())
	})
}

func clone(object Object) Object {
	out, ok := object.DeepCopyObject().(Object)
	if !ok {
		panic("a deep copy of another kind")
	}
	return out
}

func copyField(to, from Object, name string) {
	if field := reflect.ValueOf(to).Elem().FieldByName(name); field.IsValid() {
		field.Set(reflect.ValueOf(from).Elem().FieldByName(name))
	}
}

func sameField(a, b Object, name string) bool {
	field := reflect.ValueOf(a).Elem().FieldByName(name)
	return !field.IsValid() || equality.Semantic.DeepEqual(field.Interface(), reflect.ValueOf(b).Elem().FieldByName(name).Interface())
}
