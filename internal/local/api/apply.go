package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// fieldManager notes who set which field of a kind, and merges what is applied.
func (s *Server) fieldManager(kind *store.Kind, sub string) (*managedfields.FieldManager, error) {
	m := s.merging()
	version := fieldpath.APIVersion(kind.GroupVersion().String())
	others := fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
	if sub == "status" {
		others = fieldpath.NewSet(fieldpath.MakePathOrDie("spec"), fieldpath.MakePathOrDie("metadata"))
	}
	ignored := map[fieldpath.APIVersion]fieldpath.Filter{version: fieldpath.NewExcludeSetFilter(others)}
	return managedfields.NewDefaultFieldManager(m, m, m, m, kind.GroupVersionKind, kind.GroupVersion(), sub, ignored)
}

// trackFields notes in next what this client sets. Where that fails, nothing is
// noted: it must not stand in the way of a write.
func (s *Server) trackFields(r *request, old, next store.Object) {
	manager, err := s.fieldManager(r.kind, r.sub)
	if err != nil {
		return
	}
	if old == nil {
		manager.UpdateNoErrors(r.nothing(), next, r.manager())
		return
	}
	manager.UpdateNoErrors(old, next, r.manager())
	if sameManagers(old.GetManagedFields(), next.GetManagedFields()) {
		next.SetManagedFields(old.GetManagedFields())
	}
}

// controllersEntry is what the controllers' writes of a status leave on a cluster.
// kn-lite, among others, takes its own entry out where others remain.
func controllersEntry(kind *store.Kind) metav1.ManagedFieldsEntry {
	now := metav1.Now()
	return metav1.ManagedFieldsEntry{
		Manager: "controller", Operation: metav1.ManagedFieldsOperationUpdate, Subresource: "status",
		APIVersion: kind.GroupVersion().String(), Time: &now, FieldsType: "FieldsV1",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:status":{}}`)},
	}
}

// nothing is an object without fields. An empty struct has some: lists that are null.
func (r *request) nothing() *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(r.kind.GroupVersionKind)
	return out
}

// sameManagers compares all but the times: a write that changes nothing else is none.
func sameManagers(a, b []metav1.ManagedFieldsEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		x.Time, y.Time = nil, nil
		if !equality.Semantic.DeepEqual(x, y) {
			return false
		}
	}
	return true
}

// manager is who a client says it is.
func (r *request) manager() string {
	if name := r.query.Get("fieldManager"); name != "" {
		return name
	}
	name, _, _ := strings.Cut(r.UserAgent(), "/")
	name = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, name)
	return name[:min(len(name), 128)]
}

// apply is server-side apply. It makes what is not there.
func (s *Server) apply(w *response, r *request) error {
	applied, err := r.readApplied(w)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		stored, code, err := s.applyOnce(w, r, applied.DeepCopy())
		if isRace(err) && attempt < patchAttempts {
			continue
		}
		if err != nil {
			return err
		}
		return s.writeObject(w, r, code, stored)
	}
}

// isRace reports whether others changed the object at the same time, which a
// conflict over fields is not.
func isRace(err error) bool {
	if apierrors.IsAlreadyExists(err) {
		return true
	}
	var status apierrors.APIStatus
	return errors.As(err, &status) && apierrors.IsConflict(err) && (status.Status().Details == nil || len(status.Status().Details.Causes) == 0)
}

func (r *request) readApplied(w *response) (*unstructured.Unstructured, error) {
	if r.query.Get("fieldManager") == "" {
		return nil, apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("PatchOptions").GroupKind(), "", field.ErrorList{
			field.Required(field.NewPath("fieldManager"), "is required for apply patch"),
		})
	}
	raw, err := readBody(w, r.Request)
	if err != nil {
		return nil, err
	}
	applied := &unstructured.Unstructured{}
	toJSON := yaml.YAMLToJSON
	if r.query.Get("fieldValidation") == "Strict" {
		toJSON = yaml.YAMLToJSONStrict
	}
	if raw, err = toJSON(raw); err != nil {
		return nil, badRequest("error decoding YAML: %v", err)
	}
	if err := applied.UnmarshalJSON(raw); err != nil {
		return nil, badRequest("%v", err)
	}
	if applied.GetName() == "" {
		applied.SetName(r.name)
	}
	if applied.GetName() != r.name {
		return nil, badRequest("metadata.name must match the name in the URL: %q is not %q", applied.GetName(), r.name)
	}
	return applied, nil
}

func (s *Server) applyOnce(w http.ResponseWriter, r *request, applied *unstructured.Unstructured) (store.Object, int, error) {
	live, exists := s.store.Get(r.kind, r.namespace, r.name)
	if !exists {
		if uid := applied.GetUID(); uid != "" {
			return nil, 0, apierrors.NewConflict(r.kind.GroupResource(), r.name, reason("uid mismatch: the provided object specified uid "+string(uid)+", and no existing object was found"))
		}
		live := r.nothing()
		live.SetName(r.name)
		live.SetNamespace(r.namespace)
		next, err := s.merged(w, r, live, applied)
		if err != nil {
			return nil, 0, err
		}
		if err := r.fillPlace(next); err != nil {
			return nil, 0, err
		}
		made, err := s.storeNew(w, r, next)
		return made, http.StatusCreated, err
	}
	if version := applied.GetResourceVersion(); version != "" && version != live.GetResourceVersion() {
		return nil, 0, modified(r.kind, r.name)
	}
	next, err := s.merged(w, r, copyOf(live), applied)
	if err != nil {
		return nil, 0, err
	}
	if err := r.fillPlace(next); err != nil {
		return nil, 0, err
	}
	stored, err := s.storeChanged(w, r, live, r.confine(live, next))
	return stored, http.StatusOK, err
}

// merged is an object after what is applied to it.
func (s *Server) merged(w http.ResponseWriter, r *request, live runtime.Object, applied *unstructured.Unstructured) (store.Object, error) {
	manager, err := s.fieldManager(r.kind, r.sub)
	if err != nil {
		return nil, err
	}
	out, err := manager.Apply(live, applied, r.manager(), isTrue(r.query.Get("force")))
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &status):
		return nil, err
	case err != nil:
		return nil, badRequest("%v", err)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return r.decode(w, raw)
}
