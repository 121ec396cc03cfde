package cluster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
)

// WaitGone waits until a service that is being deleted and all its pods are
// gone; report hears how many pods are left.
func (c *Client) WaitGone(ctx context.Context, service string, report func(pods int)) error {
	err := c.WatchService(ctx, service, func(svc *servingv1.Service) error {
		if svc == nil {
			return ErrStop
		}
		return nil
	})
	if err != nil {
		return err
	}
	left := -1
	return c.WatchPods(ctx, serving.ServiceLabelKey+"="+service, func(pods []*corev1.Pod) error {
		if len(pods) == 0 {
			return ErrStop
		}
		if len(pods) != left {
			left = len(pods)
			report(left)
		}
		return nil
	})
}
