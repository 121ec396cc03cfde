package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kn-lite/kn-lite/internal/local/kubelet/podlog"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Logs reads what a container of a pod has written, until ctx ends. Its errors are
// those of a cluster.
func (k *Kubelet) Logs(ctx context.Context, namespace, name string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	w, err := k.find(namespace, name)
	if err != nil {
		return nil, k.notTaken(namespace, name, err)
	}
	c, err := w.chosen(o.Container)
	if err != nil {
		return nil, err
	}
	log, err := c.logOf(o.Previous)
	if err != nil {
		return nil, err
	}
	reader, err := log.Read(logOptions(o))
	switch {
	case errors.Is(err, fs.ErrNotExist): // removed with its pod, a moment ago
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
	case err != nil:
		return nil, apierrors.NewInternalError(err)
	}
	reader.StopWith(ctx)
	return reader, nil
}

// notTaken is the error for a pod that is so new that no container of it is known.
func (k *Kubelet) notTaken(namespace, name string, err error) error {
	p, ok := store.Get[*corev1.Pod](k.o.Store, namespace, name)
	if !ok || p.DeletionTimestamp != nil || len(p.Spec.Containers) == 0 {
		return err
	}
	return apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start: %s", p.Spec.Containers[0].Name, name, containerCreating))
}

// chosen is the container that is asked for; without a name it is the only one.
func (w *worker) chosen(name string) (*container, error) {
	names, inits := namesOf(w.containers), namesOf(w.inits)
	if name == "" {
		if len(w.containers) == 1 && len(w.inits) == 0 {
			return w.containers[0], nil
		}
		message := fmt.Sprintf("a container name must be specified for pod %s, choose one of: [%s]", w.name.Name, names)
		if inits != "" {
			message += fmt.Sprintf(" or one of the init containers: [%s]", inits)
		}
		return nil, apierrors.NewBadRequest(message)
	}
	for _, c := range w.all() {
		if c.spec.Name == name {
			return c, nil
		}
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, w.name.Name))
}

func namesOf(containers []*container) string {
	var names []string
	for _, c := range containers {
		names = append(names, c.spec.Name)
	}
	return strings.Join(names, " ")
}

// logOf is the log of the newest run or of the one before it.
func (c *container) logOf(previous bool) (*podlog.Run, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	name, ofPod, state := c.spec.Name, c.w.name.Name, c.status.State
	switch {
	case previous && c.status.LastTerminationState.Terminated != nil:
		// While the next run has not begun, the last one is the previous one.
		if c.process == nil && state.Terminated == nil && c.log != nil {
			return c.log, nil
		}
		if c.old != nil {
			return c.old, nil
		}
	case !previous && c.log != nil:
		return c.log, nil
	}
	switch {
	case previous:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", name, ofPod))
	case state.Waiting == nil:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start - no logs yet", name, ofPod))
	}
	reason := state.Waiting.Reason
	switch reason {
	case errImagePull:
		reason = "image can't be pulled"
	case pullBackOff:
		reason = "trying and failing to pull image"
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start: %s", name, ofPod, reason))
}

func logOptions(o *corev1.PodLogOptions) podlog.Options {
	out := podlog.Options{Follow: o.Follow, Timestamps: o.Timestamps, Tail: -1, Limit: -1}
	if o.SinceSeconds != nil {
		out.Since = time.Now().Add(-seconds(*o.SinceSeconds))
	}
	if o.SinceTime != nil {
		out.Since = o.SinceTime.Time
	}
	if o.TailLines != nil {
		out.Tail = *o.TailLines
	}
	if o.LimitBytes != nil {
		out.Limit = *o.LimitBytes
	}
	if o.Stream != nil && *o.Stream != corev1.LogStreamAll {
		out.Stream = strings.ToLower(*o.Stream)
	}
	return out
}
