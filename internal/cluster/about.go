package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// knativeNamespace is where Knative Serving's own parts are.
const knativeNamespace = "knative-serving"

// About is what an API server says of itself.
type About struct {
	Version        string    // v1.33.1
	Date           time.Time // by its clock; zero where it does not say
	Sent, Received time.Time // by ours
}

// About asks the API server for its version, with the user's credentials.
func (c *Client) About(ctx context.Context) (*About, error) {
	asked := call{verb: "get", resource: resource{name: "/version", singular: "GET "}, name: "version", everywhere: true}
	base, _, err := rest.DefaultServerUrlFor(c.config)
	if err != nil {
		return nil, c.explain(asked, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("version").String(), http.NoBody)
	if err != nil {
		return nil, c.explain(asked, err)
	}
	about := &About{Sent: time.Now()}
	response, err := c.http.Do(request)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // the method and the URL are in the subject
	}
	if err != nil {
		return nil, c.explain(asked, err)
	}
	defer response.Body.Close()
	about.Received = time.Now()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, c.explain(asked, err)
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusForbidden: // some let nobody see the version
	default:
		return nil, c.explain(asked, apierrors.NewGenericServerResponse(response.StatusCode, "get", schema.GroupResource{Resource: "version"}, "", "", 0, false))
	}
	var said struct {
		GitVersion string `json:"gitVersion"`
	}
	// Without a version it is an API server that does not say.
	_ = json.Unmarshal(text, &said)
	about.Version = said.GitVersion
	about.Date, _ = http.ParseTime(response.Header.Get("Date"))
	return about, nil
}

// KnativeVersion returns the version of Knative Serving, "" where it may not be read.
// It is a NotFound error where there is no Knative Serving.
func (c *Client) KnativeVersion(ctx context.Context) (string, error) {
	err := c.rest.Get().AbsPath("/apis/serving.knative.dev/v1").Do(ctx).Error()
	switch {
	case apierrors.IsForbidden(err): // discovery is closed; what asks for a service will tell
	case err != nil:
		return "", c.explain(call{verb: "get", resource: services}, err)
	}
	namespace, err := c.core.Namespaces().Get(ctx, knativeNamespace, metav1.GetOptions{})
	if err != nil {
		return "", nil
	}
	return namespace.Labels["app.kubernetes.io/version"], nil
}

// KnativeSettings returns the data of a ConfigMap of Knative's own, nil where it may
// not be read or is not there.
func (c *Client) KnativeSettings(ctx context.Context, name string) (map[string]string, error) {
	found, err := c.core.ConfigMaps(knativeNamespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, c.explain(call{verb: "get", resource: configMaps, name: name, everywhere: true}, err)
	}
	if found.Data == nil {
		return map[string]string{}, nil
	}
	return found.Data, nil
}
