package deploy_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/clustertest"
	"github.com/kn-lite/kn-lite/internal/deploy"
)

// TestFakeConforms: what the tests of deploys take for a cluster does what one does.
func TestFakeConforms(t *testing.T) {
	claims := []clustertest.Part{
		clustertest.Services, clustertest.Conflicts, clustertest.DryRun, clustertest.Validation,
		clustertest.Revisions, clustertest.Failures, clustertest.Routing, clustertest.Watches,
	}
	clustertest.Run(t, claims, func(*testing.T) *clustertest.Target {
		return &clustertest.Target{
			Cluster: deploy.NewFake(func(rev *servingv1.Revision) corev1.ConditionStatus {
				if rev.Annotations["example.com/fails"] != "" {
					return corev1.ConditionFalse
				}
				return corev1.ConditionTrue
			}),
			Break: func(svc *servingv1.Service) {
				svc.Spec.Template.Annotations = map[string]string{"example.com/fails": "yes"}
			},
		}
	})
}
