package cluster

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// A service that has never been ready has no ingress; that is no lack of Knative.
func TestIngressThatIsMissing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		details *metav1.StatusDetails
		want    string
	}{
		{"the object", &metav1.StatusDetails{Name: "fn", Group: "networking.internal.knative.dev", Kind: "ingresses"}, "no revision of it has been ready"},
		{"the kind", &metav1.StatusDetails{}, "not installed"},
	} {
		c := stub(t, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound, "not found", tt.details))
		})
		_, err := c.IngressAddresses(t.Context(), "fn", false)
		if fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v (%v)", tt.name, err, fault.KindOf(err))
		}
	}
}
