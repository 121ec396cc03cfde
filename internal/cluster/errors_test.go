package cluster

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestStatusErrors(t *testing.T) {
	about := &metav1.StatusDetails{Group: "serving.knative.dev", Kind: "services", Name: "fn"}
	tests := []struct {
		name   string
		answer metav1.Status
		kind   fault.Kind
		says   []string // in the error or its hint
	}{
		{"no such service", status(404, metav1.StatusReasonNotFound, `services.serving.knative.dev "fn" not found`, about), fault.NotFound, []string{"service/fn", "namespace ns"}},
		{"unauthorized", status(401, metav1.StatusReasonUnauthorized, "Unauthorized", nil), fault.Auth, []string{"does not accept", `"test"`}},
		{
			"rbac", status(403, metav1.StatusReasonForbidden, `services.serving.knative.dev "fn" is forbidden: User "u" cannot update`, about), fault.Auth,
			[]string{"update services.serving.knative.dev", "namespace ns", "kubectl auth can-i update services.serving.knative.dev -n ns"},
		},
		{
			"another authorizer", status(403, metav1.StatusReasonForbidden, `services.serving.knative.dev "fn" is forbidden: requires one of ["run.services.update"] permission(s)`, about), fault.Auth,
			[]string{"kubectl auth can-i"},
		},
		{
			"admission policy", status(403, metav1.StatusReasonForbidden, `services.serving.knative.dev "fn" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'images' denied request: only images of our registry`, about), fault.Usage,
			[]string{"refused by the cluster", "only images of our registry", "nothing was changed"},
		},
		{
			"limit range", status(403, metav1.StatusReasonForbidden, `pods "fn" is forbidden: maximum cpu usage per Container is 1, but limit is 2`, about), fault.Usage,
			[]string{"maximum cpu usage"},
		},
		{
			"object count quota", status(403, metav1.StatusReasonForbidden, `services.serving.knative.dev "fn" is forbidden: exceeded quota: few, requested: count/services.serving.knative.dev=1, used: 3, limited: 3`, about), fault.Failure,
			[]string{"exceeded quota: few", "kubectl describe resourcequota -n ns"},
		},
		{"webhook says 403", status(403, metav1.StatusReasonForbidden, `admission webhook "policy" denied the request: no`, nil), fault.Usage, []string{"refused by the cluster", "policy"}},
		{"webhook says 400", status(400, metav1.StatusReasonBadRequest, `admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: bad image`, nil), fault.Usage, []string{"bad image", "nothing was changed"}},
		{"invalid", status(422, metav1.StatusReasonInvalid, `Service "fn" is invalid: spec`, about), fault.Usage, []string{"is invalid"}},
		{"no namespace", status(404, metav1.StatusReasonNotFound, `namespaces "ns" not found`, &metav1.StatusDetails{Kind: "namespaces", Name: "ns"}), fault.NotFound, []string{"namespace/ns", "kubectl create namespace ns"}},
		{"conflict", status(409, metav1.StatusReasonConflict, "the object has been modified", about), fault.Conflict, []string{"modified"}},
		{"exists", status(409, metav1.StatusReasonAlreadyExists, "already exists", about), fault.Conflict, []string{"exists"}},
		{"webhook down", status(500, metav1.StatusReasonInternalError, `failed calling webhook "webhook.serving.knative.dev": connection refused`, nil), fault.Transient, []string{"knative-serving"}},
		{"server starting", status(503, metav1.StatusReasonServiceUnavailable, "starting", nil), fault.Transient, []string{"try again"}},
		{"timeout", status(504, metav1.StatusReasonTimeout, "slow", nil), fault.Transient, []string{"slow"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := stub(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, int(tt.answer.Code), tt.answer) })
			svc := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "fn", ResourceVersion: "1"}}
			_, err := c.UpdateService(t.Context(), svc, false)
			check(t, err, tt.kind, tt.says)
		})
	}
}

func check(t *testing.T, err error, kind fault.Kind, says []string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("error %v of kind %v, want %v", err, fault.KindOf(err), kind)
	}
	for _, want := range says {
		if text := err.Error() + "\n" + fault.HintOf(err); !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
}

// TestNoKnative: an API server without the group answers with plain text.
func TestNoKnative(t *testing.T) {
	c := stub(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	for what, call := range map[string]func() error{
		"find": func() error { _, err := c.FindService(t.Context(), "fn"); return err },
		"get":  func() error { _, err := c.GetService(t.Context(), "fn"); return err },
		"list": func() error { _, err := c.ListServices(t.Context(), false); return err },
	} {
		t.Run(what, func(t *testing.T) {
			check(t, call(), fault.NotFound, []string{"Knative Serving is not installed", "https://knative.dev/docs/install/"})
		})
	}
}

func TestFindAbsent(t *testing.T) {
	c := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 404, status(404, metav1.StatusReasonNotFound, "not found", &metav1.StatusDetails{Kind: "services", Name: "fn"}))
	})
	svc, err := c.FindService(t.Context(), "fn")
	if svc != nil || err != nil {
		t.Errorf("got %v, %v", svc, err)
	}
	rev, err := c.FindRevision(t.Context(), "fn-v1")
	if rev != nil || err != nil {
		t.Errorf("got %v, %v", rev, err)
	}
}

func TestTransportErrors(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	tests := []struct {
		name string
		host string
		kind fault.Kind
		says []string
	}{
		{"refused", closed.URL, fault.Transient, []string{closed.URL, "not reachable", `"test"`}},
		{"unknown authority", secure.URL, fault.Auth, []string{secure.URL, "certificate is not trusted"}},
		{"no TLS there", strings.Replace(plain.URL, "http:", "https:", 1), fault.Usage, []string{"does not speak TLS"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := clientOf(t, &rest.Config{Host: tt.host}).FindService(t.Context(), "fn")
			check(t, err, tt.kind, tt.says)
		})
	}
}

// TestContextErrorsStayThemselves: an interrupt is no fault of the cluster.
func TestContextErrorsStayThemselves(t *testing.T) {
	c := stub(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.FindService(ctx, "fn"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.FindService(ctx, "fn"); fault.KindOf(err) != fault.Timeout {
		t.Errorf("error %v, want Timeout", err)
	}
}
