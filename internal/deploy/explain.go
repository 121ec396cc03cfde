package deploy

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
)

// Explain returns why a revision is not ready, by what is to be seen of it now; nil
// for one that is. What this user may not look at is left out.
func Explain(ctx context.Context, cluster Cluster, service, revision string, now time.Time) (*Finding, error) {
	rev, err := cluster.FindRevision(ctx, revision)
	if err != nil {
		return nil, err
	}
	if rev == nil {
		return nil, fault.New(fault.NotFound, "deploy.explain", "revision/"+revision, "not found in namespace %s", cluster.Namespace())
	}
	if stateOf(rev) == corev1.ConditionTrue {
		return nil, nil
	}
	e := Evidence{Now: now, Revision: revision, Object: rev}
	if e.Service, err = cluster.FindService(ctx, service); err != nil {
		return nil, err
	}
	err = cluster.WatchPods(ctx, revisionLabel+revision, func(pods []*corev1.Pod) error {
		e.Pods = pods
		return errStopWatch
	})
	if err != nil && !errors.Is(err, errStopWatch) && fault.KindOf(err) != fault.Auth {
		return nil, err
	}
	d := &deployer{cluster: cluster}
	d.collect(ctx, &e)
	finding := Diagnose(e)
	return &finding, nil
}

// UnderWay returns the revisions that a deploy under way has created or would go
// back to; none when there is no such deploy.
func UnderWay(svc *servingv1.Service) []string {
	r := recordOf(svc)
	if r == nil {
		return nil
	}
	names := []string{r.Revision, r.Former, r.Serving}
	for _, t := range slices.Concat(knative.Split(r.Traffic), knative.Split(r.Pinned)) {
		names = append(names, t.Revision)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}
