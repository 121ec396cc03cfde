package api

import (
	"context"
	"encoding/json"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/config"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const servingGroup = serving.GroupName

// admitted are the kinds of Knative, which know their defaults and their rules.
type admitted interface {
	store.Object
	apis.Defaultable
	apis.Validatable
}

// admit sets defaults and validates, in the order of a cluster: Knative's
// defaults, names and metadata, Knative's rules. old is nil for a new object.
func (s *Server) admit(w http.ResponseWriter, r *request, old, next store.Object) error {
	if object, isKnative := next.(admitted); isKnative {
		return s.admitKnative(w, r, old, object)
	}
	setCoreDefaults(next)
	if err := checkMeta(r.kind, old, next); err != nil {
		return err
	}
	if invalid := validateCore(old, next); len(invalid) > 0 {
		return apierrors.NewInvalid(r.kind.GroupVersionKind.GroupKind(), next.GetName(), invalid)
	}
	return checkSettings(next)
}

// admitKnative does what Knative's two webhooks do: one sets defaults, one validates.
func (s *Server) admitKnative(w http.ResponseWriter, r *request, old store.Object, object admitted) error {
	ctx := config.ToContext(r.Context(), s.settings.read())
	defaulting, validating := apis.WithinCreate(ctx), apis.WithinCreate(ctx)
	if old != nil {
		before, err := reread(r.kind, old)
		if err != nil {
			return err
		}
		validating = apis.WithinUpdate(ctx, before)
		// Defaults that older objects lack are no change of this client's.
		filled := before.DeepCopyObject()
		if d, ok := filled.(apis.Defaultable); ok {
			d.SetDefaults(ctx)
		}
		defaulting = apis.WithinUpdate(ctx, filled)
	}
	// By whom an object was made and changed is among the defaults.
	object.SetDefaults(s.withUser(defaulting, r))
	if err := checkMeta(r.kind, old, object); err != nil {
		return err
	}
	next, err := reread(r.kind, object)
	if err != nil {
		return err
	}
	return refusal(w, next.Validate(s.withUser(validating, r)))
}

func (s *Server) withUser(ctx context.Context, r *request) context.Context {
	if r.dryRun() {
		ctx = apis.WithDryRun(ctx)
	}
	return apis.WithUserInfo(ctx, &authenticationv1.UserInfo{Username: s.user, Groups: userGroups()})
}

// reread is an object as a webhook gets it: some comparisons of Knative's tell an
// empty map from none, and JSON does not.
func reread(kind *store.Kind, object store.Object) (admitted, error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	out, ok := kind.New().(admitted)
	if !ok {
		return nil, reason(kind.Kind + " is not a kind of Knative's")
	}
	return out, json.Unmarshal(raw, out)
}

// refusal is a validation's result in the words of a cluster, whose API server
// passes on what Knative's webhook says.
func refusal(w http.ResponseWriter, result *apis.FieldError) error {
	if result == nil {
		return nil
	}
	for _, warning := range wrapped(result.Filter(apis.WarningLevel)) {
		warn(w, warning.Error())
	}
	if wrong := result.Filter(apis.ErrorLevel); wrong != nil {
		return badRequest("admission webhook %q denied the request: validation failed: %v", "validation.webhook.serving.knative.dev", wrong)
	}
	return nil
}

func wrapped(e *apis.FieldError) []*apis.FieldError {
	if e == nil {
		return nil
	}
	return e.WrappedErrors()
}

// checkMeta validates names, labels, annotations and owners.
func checkMeta(kind *store.Kind, old, next store.Object) error {
	path := field.NewPath("metadata")
	invalid := validation.ValidateObjectMetaAccessor(next, kind.Namespaced, nameRule(kind), path)
	if old != nil {
		invalid = append(invalid, validation.ValidateObjectMetaAccessorUpdate(next, withVersion(old, next), path)...)
	}
	if len(invalid) > 0 {
		return apierrors.NewInvalid(kind.GroupVersionKind.GroupKind(), next.GetName(), invalid)
	}
	return nil
}

// withVersion is old under next's version: that they differ is a conflict and
// not invalid.
func withVersion(old, next store.Object) metav1.Object {
	out := copyOf(old)
	out.SetResourceVersion(next.GetResourceVersion())
	return out
}

func nameRule(kind *store.Kind) validation.ValidateNameFunc {
	switch {
	case kind.Kind == "Namespace":
		return validation.ValidateNamespaceName
	case kind.Kind == "Service" && kind.Group == "":
		return validation.NameIsDNS1035Label
	case kind.Kind == "ServiceAccount":
		return validation.ValidateServiceAccountName
	}
	return validation.NameIsDNSSubdomain
}

// checkNamespace wants an object's namespace to be there and to stay.
func (s *Server) checkNamespace(kind *store.Kind, object store.Object) error {
	if !kind.Namespaced {
		return nil
	}
	name := object.GetNamespace()
	namespace, ok := store.Get[*corev1.Namespace](s.store, "", name)
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name)
	}
	if namespace.DeletionTimestamp == nil {
		return nil
	}
	err := apierrors.NewForbidden(kind.GroupResource(), object.GetName(), reason("unable to create new content in namespace "+name+" because it is being terminated"))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: corev1.NamespaceTerminatingCause, Message: "namespace " + name + " is being terminated", Field: "metadata.namespace",
	})
	return err
}

// checkVersion compares the version and the identity that a client saw.
func checkVersion(kind *store.Kind, old, next store.Object) error {
	version, uid := next.GetResourceVersion(), next.GetUID()
	if uid != "" && uid != old.GetUID() {
		return apierrors.NewConflict(kind.GroupResource(), old.GetName(), reason("Precondition failed: UID in precondition: "+string(uid)+", UID in object meta: "+string(old.GetUID())))
	}
	if version != "" && version != old.GetResourceVersion() {
		return modified(kind, old.GetName())
	}
	return nil
}

func modified(kind *store.Kind, name string) error {
	return apierrors.NewConflict(kind.GroupResource(), name, reason("the object has been modified; please apply your changes to the latest version and try again"))
}

// required is the error on an update that does not say of which version.
func required(kind *store.Kind, object store.Object) error {
	return apierrors.NewInvalid(kind.GroupVersionKind.GroupKind(), object.GetName(), field.ErrorList{
		field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update"),
	})
}

func userGroups() []string { return []string{"system:masters", "system:authenticated"} }
