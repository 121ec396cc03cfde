package cluster

import (
	"context"
	"encoding/json"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Domain is a host name of the user's own that leads to a service: a
// DomainMapping of Knative.
type Domain struct {
	Name    string
	URL     string // "" while it has none
	Ready   traffic.State
	Reason  string
	Message string
}

// domainMappings is the part of a DomainMappingList that is read here. Its group
// of types would bring a client of its own.
type domainMappings struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Spec struct {
			Ref struct {
				Kind string `json:"kind"`
				Name string `json:"name"`
			} `json:"ref"`
		} `json:"spec"`
		Status struct {
			URL        string            `json:"url"`
			Conditions duckv1.Conditions `json:"conditions"`
		} `json:"status"`
	} `json:"items"`
}

// domains returns the host names that lead to a service. Where mappings do not
// exist or may not be read there are none to show.
func (c *Client) domains(ctx context.Context, service string) ([]Domain, error) {
	raw, err := c.rest.Get().AbsPath("/apis/serving.knative.dev/v1beta1/namespaces", c.namespace, "domainmappings").DoRaw(ctx)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.explain(call{verb: "list", resource: domainMapping}, err)
	}
	var list domainMappings
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fault.New(fault.Failure, "cluster.domains", "service/"+service, "%w", err)
	}
	var out []Domain
	for _, item := range list.Items {
		if item.Spec.Ref.Kind != "Service" || item.Spec.Ref.Name != service {
			continue
		}
		d := Domain{Name: item.Metadata.Name, URL: item.Status.URL}
		d.Ready, d.Reason, d.Message = knative.Condition(item.Status.Conditions, "Ready")
		out = append(out, d)
	}
	return out, nil
}
