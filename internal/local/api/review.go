package api

import (
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// newReview returns what is posted to a path of the access reviews, nil for
// other paths. Whoever has the token may do everything.
func newReview(path string) runtime.Object {
	switch path {
	case "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
		return &authorizationv1.SelfSubjectAccessReview{}
	case "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews":
		return &authorizationv1.SelfSubjectRulesReview{}
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		return &authorizationv1.SubjectAccessReview{}
	case "/apis/authentication.k8s.io/v1/selfsubjectreviews":
		return &authenticationv1.SelfSubjectReview{}
	}
	if strings.HasPrefix(path, "/apis/authorization.k8s.io/v1/namespaces/") && strings.HasSuffix(path, "/localsubjectaccessreviews") {
		return &authorizationv1.LocalSubjectAccessReview{}
	}
	return nil
}

func (s *Server) review(w *response, r *http.Request, review runtime.Object) error {
	if r.Method != http.MethodPost {
		return methodNotAllowed(r)
	}
	raw, err := readBody(w, r)
	if err != nil {
		return err
	}
	if err := readInto(r, raw, review); err != nil {
		return err
	}
	may := authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "whoever has the platform's token may do everything"}
	every := []string{"*"}
	meta := metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1"}
	switch o := review.(type) {
	case *authorizationv1.SelfSubjectAccessReview:
		meta.Kind, o.Status = "SelfSubjectAccessReview", may
		o.TypeMeta = meta
	case *authorizationv1.SubjectAccessReview:
		meta.Kind, o.Status = "SubjectAccessReview", may
		o.TypeMeta = meta
	case *authorizationv1.LocalSubjectAccessReview:
		meta.Kind, o.Status = "LocalSubjectAccessReview", may
		o.TypeMeta = meta
	case *authorizationv1.SelfSubjectRulesReview:
		meta.Kind = "SelfSubjectRulesReview"
		o.TypeMeta = meta
		o.Status.ResourceRules = []authorizationv1.ResourceRule{{Verbs: every, APIGroups: every, Resources: every}}
		o.Status.NonResourceRules = []authorizationv1.NonResourceRule{{Verbs: every, NonResourceURLs: every}}
	case *authenticationv1.SelfSubjectReview:
		o.TypeMeta = metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "SelfSubjectReview"}
		o.Status.UserInfo = authenticationv1.UserInfo{Username: s.user, Groups: userGroups()}
	}
	return writeJSON(w, whole, http.StatusCreated, review)
}
