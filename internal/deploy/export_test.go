package deploy

import (
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// NewFake returns the cluster of the tests here, empty, with the fates of revisions.
func NewFake(fate func(*servingv1.Revision) corev1.ConditionStatus) Cluster {
	c := newCluster()
	c.fate = fate
	return c
}
