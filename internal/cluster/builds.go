package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// CheckPod asks the API server whether it would take the pod, and stores nothing.
// admission is true when the user may create pods and this one was refused all
// the same: by Pod Security, a quota or a webhook.
func (c *Client) CheckPod(ctx context.Context, pod *corev1.Pod) (admission bool, err error) {
	_, err = c.core.Pods(c.namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err == nil {
		return false, nil
	}
	if apierrors.IsForbidden(err) {
		// Rights and admission answer with the same code.
		if may, asked := c.may(ctx, "create", "", "pods"); asked == nil && may {
			return true, fault.New(fault.Conflict, "cluster.create", "pod", "the cluster does not admit it: %s", words(err))
		}
	}
	return false, c.explain(call{verb: "create", resource: pods}, err)
}

// may asks whether the user has a right in the client's namespace.
func (c *Client) may(ctx context.Context, verb, group, resource string) (bool, error) {
	review := map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": map[string]any{
			"namespace": c.namespace, "verb": verb, "group": group, "resource": resource,
		}},
	}
	body, err := json.Marshal(review)
	if err != nil {
		return false, err
	}
	raw, err := c.rest.Post().AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").
		SetHeader("Content-Type", "application/json").Body(body).DoRaw(ctx)
	if err != nil {
		return false, err
	}
	var answer struct {
		Status struct{ Allowed bool }
	}
	err = json.Unmarshal(raw, &answer)
	return answer.Status.Allowed, err
}

// CreateJob creates a job and returns it as it is stored.
func (c *Client) CreateJob(ctx context.Context, job *batchv1.Job) (*batchv1.Job, error) {
	made, err := c.batch.Jobs(c.namespace).Create(ctx, job, metav1.CreateOptions{})
	if err != nil {
		return nil, c.explain(call{verb: "create", resource: jobs, name: job.Name}, err)
	}
	return made, nil
}

// CreateSecret creates a secret.
func (c *Client) CreateSecret(ctx context.Context, secret *corev1.Secret) error {
	_, err := c.core.Secrets(c.namespace).Create(ctx, secret, metav1.CreateOptions{})
	return c.explain(call{verb: "create", resource: secrets, name: secret.Name}, err)
}

// DeleteSecret deletes a secret; that there is none is no error.
func (c *Client) DeleteSecret(ctx context.Context, name string) error {
	err := c.core.Secrets(c.namespace).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return c.explain(call{verb: "delete", resource: secrets, name: name}, err)
}

// DeleteJob deletes a job and its pods, and returns when they are gone or ctx is
// done; that there is no such job is no error.
func (c *Client) DeleteJob(ctx context.Context, name string) error {
	k := call{verb: "delete", resource: jobs, name: name}
	// The job is the last to go: when it is gone, its pods are.
	policy := metav1.DeletePropagationForeground
	err := c.batch.Jobs(c.namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy})
	again := newPause(100*time.Millisecond, time.Second)
	for err == nil {
		if err = again.Wait(ctx); err == nil {
			_, err = c.batch.Jobs(c.namespace).Get(ctx, name, metav1.GetOptions{})
		}
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return c.explain(k, err)
}

// FollowLog hands the lines of a container's log to emit, over cut connections,
// until ended is closed and the log has been read to its end.
func (c *Client) FollowLog(ctx context.Context, pod, container string, ended <-chan struct{}, emit func(line string) error) error {
	s := stream{line: LogLine{Pod: pod, Container: container}}
	again := newPause(rewatchAfter, rewatchAtMost)
	var last time.Time
	for {
		over := false
		select {
		case <-ended:
			over = true
		default:
		}
		err := c.readLogFrom(ctx, s, LogOptions{Container: container, Follow: true, Tail: -1}, &last, func(l LogLine) error { return emit(l.Text) })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case over:
			return err
		case err != nil && fault.KindOf(err) != fault.Transient && fault.KindOf(err) != fault.Failure && fault.KindOf(err) != fault.NotFound && fault.KindOf(err) != fault.Usage:
			return err
		}
		wait, cancel := context.WithCancel(ctx)
		stop := make(chan struct{})
		go func() {
			select {
			case <-ended:
				cancel()
			case <-stop:
			}
		}()
		_ = again.Wait(wait)
		close(stop)
		cancel()
	}
}

// SetJobDeadline changes how many seconds after its start a job is ended.
func (c *Client) SetJobDeadline(ctx context.Context, name string, seconds int64) error {
	patch := fmt.Sprintf(`{"spec":{"activeDeadlineSeconds":%d}}`, seconds)
	_, err := c.batch.Jobs(c.namespace).Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return c.explain(call{verb: "patch", resource: jobs, name: name}, err)
}

// LocalRegistry is a registry that the cluster's owner has put beside it, as
// tools for clusters on one machine do.
type LocalRegistry struct {
	Host    string // as the user and the nodes' container runtime name it
	Cluster string // host:port at which pods reach it; "" when the same
}

// LocalRegistry reads what the cluster says about its local registry, nil when
// it says nothing. That not everybody may read it is an Auth error
// (https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry).
func (c *Client) LocalRegistry(ctx context.Context) (*LocalRegistry, error) {
	const namespace, name, key = "kube-public", "local-registry-hosting", "localRegistryHosting.v1"
	config, err := c.core.ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, c.explain(call{verb: "get", resource: configMaps, name: name, everywhere: true}, err)
	}
	var said struct {
		Host                   string `json:"host"`
		HostFromClusterNetwork string `json:"hostFromClusterNetwork"`
	}
	if err := yaml.Unmarshal([]byte(config.Data[key]), &said); err != nil {
		return nil, fault.New(fault.Usage, "cluster.registry", fmt.Sprintf("configmap %s/%s", namespace, name), "%s: %w", key, err)
	}
	if said.Host == "" {
		return nil, nil
	}
	return &LocalRegistry{Host: said.Host, Cluster: said.HostFromClusterNetwork}, nil
}
