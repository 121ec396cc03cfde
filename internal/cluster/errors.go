package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// resource is what a call is about, in the words of `kubectl auth can-i`.
type resource struct {
	name     string // plural with its group, as kubectl takes it
	singular string // for messages
	knative  bool   // served only where Knative is installed
}

var (
	services       = resource{"services.serving.knative.dev", "service", true}
	revisions      = resource{"revisions.serving.knative.dev", "revision", true}
	configurations = resource{"configurations.serving.knative.dev", "configuration", true}
	routes         = resource{"routes.serving.knative.dev", "route", true}
	domainMapping  = resource{"domainmappings.serving.knative.dev", "domainmapping", true}
	ingresses      = resource{"ingresses.networking.internal.knative.dev", "ingress", true}
	pods           = resource{"pods", "pod", false}
	podLogs        = resource{"pods/log", "log of pod", false}
	podAttach      = resource{"pods/attach", "input of pod", false}
	podProxy       = resource{"pods/proxy", "port of pod", false}
	jobs           = resource{"jobs.batch", "job", false}
	secrets        = resource{"secrets", "secret", false}
	configMaps     = resource{"configmaps", "configmap", false}
	events         = resource{"events", "event", false}
	deployments    = resource{"deployments.apps", "deployment", false}
	nodes          = resource{"nodes", "node", false}
	namespaces     = resource{"namespaces", "namespace", false}
)

// call describes one request, for its error.
type call struct {
	verb       string // of the API: get, list, watch, create, update, delete
	resource   resource
	name       string
	everywhere bool // not in the client's namespace
}

func (c call) subject() string {
	if c.name == "" {
		return c.resource.singular + "s"
	}
	return c.resource.singular + "/" + c.name
}

// explain turns what client-go returned into a fault that says what to do.
// Context errors keep their identity, so that an interrupt stays one.
func (c *Client) explain(k call, err error) error {
	var f *fault.Error
	var wrapped *url.Error
	switch {
	case errors.As(err, &wrapped) && errors.As(wrapped.Err, &f):
		return f // of our own transport; the method and the URL add nothing
	case err == nil || errors.As(err, &f):
		return err
	}
	op, subject := "cluster."+k.verb, k.subject()
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Timeout, op, subject, "no answer from %s in time: %w", c.server, err)
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return c.explainStatus(k, op, subject, err)
	}
	return c.explainTransport(op, err)
}

// explainStatus is for answers of the API server.
func (c *Client) explainStatus(k call, op, subject string, err error) error {
	message := words(err)
	switch {
	case apierrors.IsUnauthorized(err):
		return fault.New(fault.Auth, op, c.server, "the API server does not accept these credentials").
			WithHint("context %q of the kubeconfig: its token or certificate may have expired; log in again, or choose another {Context}", c.context)
	case apierrors.IsForbidden(err) && strings.Contains(message, "exceeded quota"):
		return fault.New(fault.Failure, op, subject, "refused by the cluster: %s", message).
			WithHint("see `kubectl describe resourcequota -n %s`; remove what is not needed, or ask for more; nothing was changed", c.namespace)
	case apierrors.IsForbidden(err) && denied(k.verb, err):
		return c.explainDenied(op, subject, message)
	case apierrors.IsForbidden(err):
		return c.explainForbidden(k, op, subject, message)
	case c.missingNamespace(err):
		return c.noNamespace(op, c.namespace)
	case apierrors.IsNotFound(err) && k.resource.knative && missingAPI(err):
		return fault.New(fault.NotFound, op, c.server, "Knative Serving is not installed in this cluster").
			WithHint("the API serving.knative.dev/v1 is unknown there; install Knative Serving (https://knative.dev/docs/install/) or choose another {Context}")
	case apierrors.IsNotFound(err):
		return fault.New(fault.NotFound, op, subject, "not found in namespace %s", c.namespace).
			WithHint("`kn-lite list` shows what there is; another namespace is chosen with -n")
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return &fault.Error{Op: op, Kind: fault.Conflict, Subject: subject, Err: err, Hint: "somebody else has changed it meanwhile; look at it and try again"}
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return c.explainDenied(op, subject, message)
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err):
		return fault.New(fault.Transient, op, c.server, "%s", message).WithHint("the API server is busy or starting; try again")
	case apierrors.IsInternalError(err):
		// A webhook that cannot be called ends up here, with its name.
		return fault.New(fault.Transient, op, subject, "%s", message).
			WithHint("if it names a webhook, its pods may still be starting: `kubectl get pods -n knative-serving`")
	}
	return &fault.Error{Op: op, Kind: fault.Failure, Subject: subject, Err: err}
}

// explainForbidden names the right that is missing and how to check for it.
func (c *Client) explainForbidden(k call, op, subject, message string) error {
	scope := " -n " + c.namespace
	if k.everywhere {
		scope = " -A"
	}
	where := "in namespace " + c.namespace
	if k.everywhere {
		where = "in all namespaces"
	}
	return fault.New(fault.Auth, op, subject, "not permitted to %s %s %s: %s", k.verb, k.resource.name, where, message).
		WithHint("ask for a role with that right, and check it with `kubectl auth can-i %s %s%s`", k.verb, k.resource.name, scope)
}

// explainDenied passes on what validation or an admission webhook said.
func (c *Client) explainDenied(op, subject, message string) error {
	return fault.New(fault.Usage, op, subject, "refused by the cluster: %s", message).
		WithHint("the words are those of the API server or of an admission webhook; nothing was changed")
}

func (c *Client) noNamespace(op, name string) error {
	return fault.New(fault.NotFound, op, "namespace/"+name, "there is no such namespace in %s", c.server).
		WithHint("create it with `kubectl create namespace %s`, or choose another with -n", name)
}

// explainTransport is for connections that did not come about.
func (c *Client) explainTransport(op string, err error) error {
	var (
		badCert *tls.CertificateVerificationError
		badRoot x509.UnknownAuthorityError
		notTLS  tls.RecordHeaderError
		dns     *net.DNSError
	)
	subject := "API server " + c.server
	check := "check the server and the certificate-authority of context " + quoted(c.context)
	switch {
	case errors.As(err, &badCert), errors.As(err, &badRoot):
		return fault.New(fault.Auth, op, subject, "its certificate is not trusted: %w", err).WithHint("%s", check)
	case errors.As(err, &notTLS), errors.Is(err, http.ErrSchemeMismatch):
		return fault.New(fault.Usage, op, subject, "does not speak TLS: %w", err).WithHint("%s", check)
	case errors.As(err, &dns):
		return fault.New(fault.Transient, op, subject, "its host name is unknown: %w", err).
			WithHint("check the server of context %s, the network and the VPN", quoted(c.context))
	case passing(err) && c.context == LocalContext:
		return fault.New(fault.Transient, op, subject, "not reachable: %w", rootCause(err)).
			WithHint("start the platform of this machine with `kn-lite local up -d`; another cluster is chosen with {Context} or {Kubeconfig}")
	case passing(err):
		return fault.New(fault.Transient, op, subject, "not reachable: %w", rootCause(err)).
			WithHint("is the cluster running? context %s; another is chosen with {Context} or {Kubeconfig}", quoted(c.context))
	}
	return &fault.Error{Op: op, Kind: fault.Failure, Subject: subject, Err: err}
}

// passing reports whether the same request may work in a moment.
func passing(err error) bool {
	var network net.Error
	var operation *net.OpError
	switch {
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err),
		apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err):
		return true
	case errors.As(err, &operation):
		return true
	case errors.As(err, &network) && network.Timeout():
		return true
	}
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		utilnet.IsHTTP2ConnectionLost(err)
}

// rootCause drops `Get "https://…?…": dial tcp …`: the subject says it already.
func rootCause(err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) && operation.Err != nil {
		return operation
	}
	return err
}

// words is the API server's own message.
func words(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Message != "" {
		return status.Status().Message
	}
	return err.Error()
}

// denied reports whether a 403 Forbidden is admission's, which looks at writes only,
// rather than for want of rights. A webhook's has no details; that of a policy or of an
// admission plugin has them, as RBAC's has, and only the words are different: an
// authorizer says that a user cannot do something (k8s.io/apiserver,
// responsewriters.ForbiddenMessage), or names a permission.
func denied(verb string, err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch d := status.Status().Details; {
	case d == nil || d.Kind == "":
		return true
	case !slices.Contains([]string{"create", "update", "patch", "delete"}, verb):
		return false
	}
	message := status.Status().Message
	return !strings.Contains(message, " cannot ") && !strings.Contains(message, "permission")
}

// missingAPI tells "the server does not know this kind" from "there is no
// such object": the former names no object.
func missingAPI(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	if d == nil || d.Name == "" {
		return true
	}
	for _, cause := range d.Causes {
		if cause.Type == metav1.CauseTypeUnexpectedServerResponse {
			return true
		}
	}
	return false
}

// missingNamespace reports whether a write failed because its namespace is not
// there: a 404 about a namespace, whatever was to be written.
func (c *Client) missingNamespace(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d != nil && strings.EqualFold(d.Kind, "namespaces") && d.Name == c.namespace
}

func quoted(context string) string {
	if context == "" {
		return "of the pod"
	}
	return `"` + context + `"`
}
