package cluster

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// ingressStatus is the part of Knative's internal Ingress that says where the
// load balancer is. The type's own module would bring a client for one read.
type ingressStatus struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		HTTPOption string `json:"httpOption"`
		Rules      []struct {
			HTTP struct {
				Paths []struct {
					Splits []struct {
						Service string `json:"serviceName"`
					} `json:"splits"`
				} `json:"paths"`
			} `json:"http"`
		} `json:"rules"`
	} `json:"spec"`
	Status struct {
		Public  loadBalancer `json:"publicLoadBalancer"`
		Private loadBalancer `json:"privateLoadBalancer"`
	} `json:"status"`
}

type loadBalancer struct {
	Ingress []struct {
		IP             string `json:"ip"`
		Domain         string `json:"domain"`
		DomainInternal string `json:"domainInternal"`
	} `json:"ingress"`
}

// IngressAddresses returns where a service's HTTP requests may be sent when DNS
// does not know its host name, as host:port, best first: the load balancer's
// address, a node port, the cluster's own address of the ingress. Which of
// them this machine can reach is for the caller to try. With private it is the
// ingress for services that are reached inside their cluster only.
func (c *Client) IngressAddresses(ctx context.Context, service string, private bool) ([]string, error) {
	ingress, err := c.ingress(ctx, service)
	if err != nil {
		return nil, err
	}
	var out []string
	balancers := ingress.Status.Public
	if private {
		balancers = ingress.Status.Private
	}
	for _, lb := range balancers.Ingress {
		switch {
		case lb.IP != "":
			out = append(out, net.JoinHostPort(lb.IP, "80"))
		case lb.Domain != "":
			out = append(out, net.JoinHostPort(lb.Domain, "80"))
		case lb.DomainInternal != "":
			found, err := c.serviceAddresses(ctx, lb.DomainInternal)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Transient, "cluster.ingress", "service/"+service, "the cluster's ingress has no address for it yet")
	}
	return out, nil
}

func (c *Client) ingress(ctx context.Context, service string) (*ingressStatus, error) {
	got := c.rest.Get().AbsPath("/apis/networking.internal.knative.dev/v1alpha1/namespaces", c.namespace, "ingresses", service).Do(ctx)
	// The error of Raw does not say whether the object or the whole kind is missing.
	switch err := got.Error(); {
	case apierrors.IsNotFound(err) && !missingAPI(err):
		return nil, fault.New(fault.NotFound, "cluster.ingress", "service/"+service, "the ingress does not know it, since no revision of it has been ready").
			WithHint("`kn-lite describe %s` says what is wrong with it", service)
	case err != nil:
		return nil, c.explain(call{verb: "get", resource: ingresses, name: service}, err)
	}
	raw, err := got.Raw()
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: ingresses, name: service}, err)
	}
	var found ingressStatus
	if err := json.Unmarshal(raw, &found); err != nil {
		return nil, fault.New(fault.Failure, "cluster.ingress", "ingress/"+service, "%w", err)
	}
	return &found, nil
}

// IngressRoutes is what Knative has told the controller of a service's ingress.
type IngressRoutes struct {
	Class  string       // istio, kourier, traefik …
	Splits [][][]string // the revisions that a rule's path leads to, in its order
}

// IngressRoutes returns how the ingress of a service leads to revisions.
func (c *Client) IngressRoutes(ctx context.Context, service string) (*IngressRoutes, error) {
	found, err := c.ingress(ctx, service)
	if err != nil {
		return nil, err
	}
	out := &IngressRoutes{Class: found.class()}
	for _, rule := range found.Spec.Rules {
		var paths [][]string
		for _, path := range rule.HTTP.Paths {
			var revisions []string
			for _, split := range path.Splits {
				revisions = append(revisions, split.Service) // it has the revision's name
			}
			paths = append(paths, revisions)
		}
		out.Splits = append(out.Splits, paths)
	}
	return out, nil
}

// class returns the short name of what serves the ingress.
func (i *ingressStatus) class() string {
	return strings.TrimSuffix(i.Metadata.Annotations["networking.knative.dev/ingress.class"], ".ingress.networking.knative.dev")
}

// IngressIsProbed reports whether the controller of the service's ingress asks
// its gateways for a new configuration before it calls the ingress ready, as
// those of the Knative project do. False also when that cannot be found out.
func (c *Client) IngressIsProbed(ctx context.Context, service string) bool {
	if c.context == LocalContext {
		return true // its router reads the same routes that clients do
	}
	found, err := c.ingress(ctx, service)
	if err != nil {
		return false
	}
	return slices.Contains([]string{"istio", "kourier", "contour", "gateway-api"}, found.class())
}

// serviceAddresses finds where NAME.NAMESPACE.svc.DOMAIN is reachable.
func (c *Client) serviceAddresses(ctx context.Context, domain string) ([]string, error) {
	parts := strings.SplitN(domain, ".", 3)
	if len(parts) < 2 {
		return nil, nil
	}
	svc, err := c.core.Services(parts[1]).Get(ctx, parts[0], metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "get", resource: resource{"services", "Kubernetes service", false}, name: parts[1] + "/" + parts[0], everywhere: true}, err)
	}
	port := httpPort(svc)
	var out []string
	for _, lb := range svc.Status.LoadBalancer.Ingress {
		if host := lb.IP + lb.Hostname; host != "" {
			out = append(out, net.JoinHostPort(host, strconv.Itoa(int(port.Port))))
		}
	}
	for _, ip := range svc.Spec.ExternalIPs {
		out = append(out, net.JoinHostPort(ip, strconv.Itoa(int(port.Port))))
	}
	if port.NodePort != 0 {
		// Nodes may be out of this user's sight; the other ways remain.
		if list, err := c.ListNodes(ctx); err == nil {
			for _, n := range list {
				for _, a := range n.Status.Addresses {
					if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
						out = append(out, net.JoinHostPort(a.Address, strconv.Itoa(int(port.NodePort))))
					}
				}
			}
		}
	}
	if ip := svc.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
		out = append(out, net.JoinHostPort(ip, strconv.Itoa(int(port.Port))))
	}
	return out, nil
}

// httpPort is port 80, else the port with a name that says HTTP, else the first.
func httpPort(svc *corev1.Service) corev1.ServicePort {
	var best corev1.ServicePort
	for i, p := range svc.Spec.Ports {
		if p.Port == 80 {
			return p
		}
		if i == 0 || (strings.HasPrefix(p.Name, "http") && !strings.HasPrefix(p.Name, "https") && !strings.HasPrefix(best.Name, "http")) {
			best = p
		}
	}
	return best
}
