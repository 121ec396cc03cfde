//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/clustertest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/test/broken"
)

// TestConforms holds the platform to what kn-lite needs of a cluster: the suite that
// the fakes of other tests run too.
func TestConforms(t *testing.T) {
	c := findTarget(t)
	image := broken.Push(t, registry.Options{}, c.Registry+"/e2e/broken:cluster", "amd64")
	get := getter(c.Ingress)
	claims := clustertest.Knative()
	if c.Platform == "devcluster" { // the embedded platform has no jobs
		claims = append(claims, clustertest.Builds)
	}
	clustertest.Run(t, claims, func(t *testing.T) *clustertest.Target {
		target := clustertest.Open(t, c.Kubeconfig, fmt.Sprintf("%s-%d", slug(t.Name()), os.Getpid()))
		target.Image, target.Get, target.Within = image, get, time.Minute
		// Knative waits for an image that cannot be pulled, ten minutes unless it is told
		// otherwise.
		target.Break = func(svc *servingv1.Service) {
			svc.Spec.Template.Annotations = map[string]string{"serving.knative.dev/progress-deadline": "8s"}
			svc.Spec.Template.Spec.Containers[0].Image = c.Registry + "/e2e/broken:no-such-tag"
		}
		target.Crash = func(svc *servingv1.Service) { svc.Spec.Template.Spec.Containers[0].Env[0].Value = "crash" }
		target.Job = func(pod *corev1.PodSpec) {
			pod.Containers[0].Image = image
			pod.Containers[0].Env = []corev1.EnvVar{{Name: "MODE", Value: "line"}}
		}
		return target
	})
}

// getter sends requests to functions by way of the ingress at an address.
func getter(ingress string) func(ctx context.Context, url, path string) (int, string, error) {
	client := ingressClient(&net.Dialer{Timeout: 10 * time.Second}, ingress)
	return func(ctx context.Context, url, path string) (int, string, error) { return get(ctx, client, url+path) }
}
