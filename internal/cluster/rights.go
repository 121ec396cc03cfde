package cluster

import (
	"context"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// Right is something to be done in the client's namespace, in the words of
// `kubectl auth can-i`.
type Right struct {
	Verb     string
	Resource string // plural, with its group: services.serving.knative.dev
}

// accessReview is the part of authorization.k8s.io/v1 that is asked for. The
// type's own module would bring a client for one request.
type accessReview struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Attributes accessAttributes `json:"resourceAttributes"`
	} `json:"spec"`
	Status struct {
		Allowed bool `json:"allowed"`
	} `json:"status"`
}

type accessAttributes struct {
	Namespace   string `json:"namespace"`
	Verb        string `json:"verb"`
	Group       string `json:"group"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource,omitempty"`
}

// MissingRights returns those of the rights that the API server says this user
// does not have, in their order. What cannot be asked counts as there: the
// request itself will tell.
func (c *Client) MissingRights(ctx context.Context, rights []Right) []Right {
	denied := make([]bool, len(rights))
	all, ctx := parallel.WithContext(ctx)
	for i, right := range rights {
		all.Go(func() error {
			denied[i] = c.denies(ctx, right)
			return nil
		})
	}
	fault.Again(all.Wait())
	var out []Right
	for i, right := range rights {
		if denied[i] {
			out = append(out, right)
		}
	}
	return out
}

func (c *Client) denies(ctx context.Context, right Right) bool {
	var review accessReview
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
	review.Spec.Attributes = right.attributes(c.namespace)
	// Strings marshal.
	body, _ := json.Marshal(review)
	raw, err := c.rest.Post().AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").
		SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx)
	if err != nil || json.Unmarshal(raw, &review) != nil || review.Kind != "SelfSubjectAccessReview" {
		return false
	}
	return !review.Status.Allowed
}

func (r Right) attributes(namespace string) accessAttributes {
	a := accessAttributes{Namespace: namespace, Verb: r.Verb}
	a.Resource, a.Group, _ = strings.Cut(r.Resource, ".")
	a.Resource, a.Subresource, _ = strings.Cut(a.Resource, "/")
	return a
}

// RequireRights is an Auth error that names all rights of a list which are missing.
func (c *Client) RequireRights(ctx context.Context, op, subject string, rights []Right) error {
	missing := c.MissingRights(ctx, rights)
	if len(missing) == 0 {
		return nil
	}
	var what, check string
	for i, r := range missing {
		if i > 0 {
			what += ", "
			check += "\n"
		}
		what += r.Verb + " " + r.Resource
		check += "`kubectl auth can-i " + r.Verb + " " + r.Resource + " -n " + c.namespace + "`"
	}
	return fault.New(fault.Auth, op, subject, "not permitted in namespace %s: %s", c.namespace, what).
		WithHint("nothing was changed; ask for a role with these rights, and check them with\n%s", check)
}

// Exists reports whether there is a secret, configmap, persistentvolumeclaim or
// serviceaccount of a name. It reads no content. True also where that may not
// be looked at: whoever needs the object will be told.
func (c *Client) Exists(ctx context.Context, kind, name string) (bool, error) {
	err := c.rest.Get().AbsPath("/api/v1/namespaces", c.namespace, kind+"s", name).
		SetHeader("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1").Do(ctx).Error()
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err == nil, apierrors.IsForbidden(err):
		return true, nil
	}
	return false, c.explain(call{verb: "get", resource: resource{kind + "s", kind, false}, name: name}, err)
}
