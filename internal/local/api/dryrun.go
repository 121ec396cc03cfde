package api

import (
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// pretendCreate is what store.Create would return.
func (s *Server) pretendCreate(kind *store.Kind, object store.Object) (store.Object, error) {
	if _, exists := s.store.Get(kind, object.GetNamespace(), object.GetName()); exists {
		return nil, apierrors.NewAlreadyExists(kind.GroupResource(), object.GetName())
	}
	object.SetUID(uuid.NewUUID())
	object.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	if hasSpec(object) {
		object.SetGeneration(1)
	}
	return object, nil
}

// pretendUpdate is what store.Update would return, but for the version.
func (s *Server) pretendUpdate(old, next store.Object) store.Object {
	next.SetResourceVersion(old.GetResourceVersion())
	if hasSpec(next) && !equality.Semantic.DeepEqual(specOf(old), specOf(next)) {
		next.SetGeneration(old.GetGeneration() + 1)
	}
	return next
}

func hasSpec(object store.Object) bool {
	return reflect.ValueOf(object).Elem().FieldByName("Spec").IsValid()
}

func specOf(object store.Object) any {
	return reflect.ValueOf(object).Elem().FieldByName("Spec").Interface()
}
