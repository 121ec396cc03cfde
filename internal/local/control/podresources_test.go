package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// A request above its limit: Knative accepts the revision, and Kubernetes refuses its
// deployment in an event. The revision before goes on.
func TestRequestAboveLimit(t *testing.T) {
	p := newPlatform(t).start()
	p.service("hello", func(*servingv1.Service) {})
	p.awaitReady("hello")
	p.update("hello", func(svc *servingv1.Service) {
		svc.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi")},
		}
	})
	const want = `failed to create deployment "hello-00002-deployment": Deployment.apps "hello-00002-deployment" is invalid: ` +
		`spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`
	p.await("an event about it", func() error {
		var said []string
		for _, e := range store.List[*corev1.Event](p.store, "default") {
			if e.InvolvedObject.Kind == "Revision" && e.Reason == "InternalError" && e.Message == want {
				return nil
			}
			said = append(said, e.Message)
		}
		return fmt.Errorf("%q", said)
	})
	if pods := store.List[*corev1.Pod](p.store, "default"); slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return strings.HasPrefix(pod.Name, "hello-00002") }) {
		t.Error("it has pods")
	}
	if ready := p.revision("hello-00001").IsReady(); !ready {
		t.Error("the revision before is not ready any more")
	}
}
