package api

import (
	"context"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Tokens makes tokens of service accounts.
type Tokens interface {
	// AccountToken returns a token for audiences, the API's own for none, that is bound
	// to an object if that is not nil.
	AccountToken(ctx context.Context, account *corev1.ServiceAccount, audiences []string, boundTo *authenticationv1.BoundObjectReference, lifetime time.Duration) (token string, expires time.Time, err error)
}

// The life of a token, as on a cluster.
const (
	tokenSeconds      = 3600
	leastTokenSeconds = 600
	mostTokenSeconds  = 1 << 32
)

// requestToken answers `kubectl create token`.
func (s *Server) requestToken(w *response, r *request) error {
	object, err := s.current(r)
	if err != nil {
		return err
	}
	account, ok := object.(*corev1.ServiceAccount)
	if !ok || s.tokens == nil {
		return apierrors.NewMethodNotSupported(r.kind.GroupResource(), "create")
	}
	raw, err := readBody(w, r.Request)
	if err != nil {
		return err
	}
	wanted := &authenticationv1.TokenRequest{}
	if err := readInto(r.Request, raw, wanted); err != nil {
		return err
	}
	if wanted.Spec.ExpirationSeconds == nil {
		wanted.Spec.ExpirationSeconds = new(int64(tokenSeconds))
	}
	if err := s.checkTokenRequest(r, wanted); err != nil {
		return err
	}
	lifetime := time.Duration(*wanted.Spec.ExpirationSeconds) * time.Second
	token, expires, err := s.tokens.AccountToken(r.Context(), account, wanted.Spec.Audiences, wanted.Spec.BoundObjectRef, lifetime)
	if err != nil {
		return err
	}
	wanted.TypeMeta = metav1.TypeMeta{APIVersion: authenticationv1.SchemeGroupVersion.String(), Kind: "TokenRequest"}
	wanted.Name, wanted.Namespace, wanted.CreationTimestamp = account.Name, account.Namespace, metav1.Now()
	wanted.Status = authenticationv1.TokenRequestStatus{Token: token, ExpirationTimestamp: metav1.NewTime(expires)}
	return writeJSON(w, r.view, http.StatusCreated, wanted)
}

func (s *Server) checkTokenRequest(r *request, t *authenticationv1.TokenRequest) error {
	var invalid field.ErrorList
	path := field.NewPath("spec", "expirationSeconds")
	switch seconds := *t.Spec.ExpirationSeconds; {
	case seconds < leastTokenSeconds:
		invalid = append(invalid, field.Invalid(path, seconds, "may not specify a duration less than 10 minutes"))
	case seconds > mostTokenSeconds:
		invalid = append(invalid, field.Invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	if len(invalid) > 0 {
		return apierrors.NewInvalid(authenticationv1.SchemeGroupVersion.WithKind("TokenRequest").GroupKind(), t.Name, invalid)
	}
	bound := t.Spec.BoundObjectRef
	if bound == nil {
		return nil
	}
	for _, kind := range s.store.Kinds() {
		if kind.Kind != bound.Kind || kind.GroupVersion().String() != bound.APIVersion || kind.Kind != "Pod" && kind.Kind != "Secret" {
			continue
		}
		object, ok := s.store.Get(kind, r.namespace, bound.Name)
		switch {
		case !ok:
			return apierrors.NewNotFound(kind.GroupResource(), bound.Name)
		case bound.UID != "" && bound.UID != object.GetUID():
			return apierrors.NewConflict(kind.GroupResource(), bound.Name, reason("the UID in the bound object reference ("+string(bound.UID)+") does not match the UID in record. The object might have been deleted and then recreated"))
		}
		bound.UID = object.GetUID()
		return nil
	}
	return badRequest("cannot bind token for serviceaccount to object %s %s: pods and secrets can be", bound.APIVersion, bound.Kind)
}
