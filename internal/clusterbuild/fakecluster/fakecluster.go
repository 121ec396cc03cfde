// Package fakecluster is a cluster in memory for tests of builds in the cluster:
// it makes the pod of a job, runs a function as its program, with its input and
// its log, and fails where it is told to.
package fakecluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Program is what the container runs. ctx ends when the pod is deleted.
type Program func(ctx context.Context, in io.Reader, out io.Writer) corev1.ContainerStateTerminated

// Cluster is the cluster. Its exported fields are set before its first use.
type Cluster struct {
	Program Program

	// Admit judges a pod; nil admits all.
	Admit func(pod *corev1.Pod) (admission bool, err error)
	// Before is what the pod looks like before it runs; nil runs it at once.
	Before *corev1.PodStatus
	// Events are those of the job; with any, no pod is made.
	Events []corev1.Event
	// CutInput breaks the connection to the container's input after so many bytes,
	// each time that there is one; no entry is no cut.
	CutInput []int
	// Errors are what the methods of these names answer, after all else was done.
	Errors map[string]error

	mu      sync.Mutex
	changed *sync.Cond
	job     *batchv1.Job
	pod     *corev1.Pod
	secrets map[string]*corev1.Secret
	log     []string
	rest    string
	stop    context.CancelFunc
	done    chan struct{}
	input   *io.PipeWriter
	attach  int
	made    []string

	deadlines []int64
}

// New is a cluster that runs program in the pods of jobs.
func New(program Program) *Cluster {
	c := &Cluster{Program: program, secrets: map[string]*corev1.Secret{}, Errors: map[string]error{}}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// Left is what is in the cluster now.
func (c *Cluster) Left() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	if c.job != nil {
		out = append(out, "job/"+c.job.Name)
	}
	if c.pod != nil {
		out = append(out, "pod/"+c.pod.Name)
	}
	for name := range c.secrets {
		out = append(out, "secret/"+name)
	}
	return out
}

// Made is what was ever created, in its order.
func (c *Cluster) Made() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.made...)
}

// Attached is how often somebody connected to the input.
func (c *Cluster) Attached() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.attach
}

// CheckPod implements clusterbuild.Cluster.
func (c *Cluster) CheckPod(_ context.Context, pod *corev1.Pod) (bool, error) {
	if c.Admit == nil {
		return false, c.Errors["CheckPod"]
	}
	return c.Admit(pod)
}

// CreateJob implements clusterbuild.Cluster. As a request whose answer is lost,
// one that fails has made the job.
func (c *Cluster) CreateJob(_ context.Context, job *batchv1.Job) (*batchv1.Job, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stored := job.DeepCopy()
	stored.UID = "uid-of-the-job"
	c.job = stored
	c.made = append(c.made, "job")
	if len(c.Events) == 0 {
		c.pod = &corev1.Pod{ObjectMeta: *stored.Spec.Template.ObjectMeta.DeepCopy(), Spec: *stored.Spec.Template.Spec.DeepCopy()}
		c.pod.Name = job.Name + "-abcde"
		if c.Before != nil {
			c.pod.Status = *c.Before
		} else {
			c.run()
		}
	}
	c.changed.Broadcast()
	return stored.DeepCopy(), c.Errors["CreateJob"]
}

// run starts the program; the lock is held.
func (c *Cluster) run() {
	ctx, stop := context.WithCancel(context.Background())
	in, input := io.Pipe()
	c.stop, c.input, c.done = stop, input, make(chan struct{})
	c.set(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, corev1.PodRunning)
	go func() {
		defer close(c.done)
		end := c.Program(ctx, in, logWriter{c})
		_ = in.CloseWithError(io.ErrClosedPipe)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pod != nil {
			c.set(corev1.ContainerState{Terminated: &end}, corev1.PodSucceeded)
		}
		c.changed.Broadcast()
	}()
}

func (c *Cluster) set(state corev1.ContainerState, phase corev1.PodPhase) {
	c.pod = c.pod.DeepCopy()
	c.pod.Status.Phase = phase
	c.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: c.pod.Spec.Containers[0].Name, State: state}}
}

// Kill deletes the pod, as somebody else would.
func (c *Cluster) Kill() {
	c.mu.Lock()
	stop, done := c.stop, c.done
	c.pod = nil
	c.changed.Broadcast()
	c.mu.Unlock()
	if stop != nil {
		stop()
		_ = c.input.CloseWithError(io.ErrUnexpectedEOF)
		<-done
	}
}

// CreateSecret implements clusterbuild.Cluster.
func (c *Cluster) CreateSecret(_ context.Context, secret *corev1.Secret) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.Errors["CreateSecret"]; err != nil {
		return err
	}
	if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != "uid-of-the-job" {
		return errors.New("the secret belongs to nobody")
	}
	c.secrets[secret.Name] = secret.DeepCopy()
	c.made = append(c.made, "secret")
	return nil
}

// WatchPods implements clusterbuild.Cluster.
func (c *Cluster) WatchPods(ctx context.Context, selector string, on func([]*corev1.Pod) error) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	var last *corev1.Pod
	for first := true; ; first = false {
		for !first && c.pod == last && ctx.Err() == nil {
			c.changed.Wait()
		}
		// The first look is never late, however short the wait was meant to be.
		if !first && ctx.Err() != nil {
			return ctx.Err()
		}
		last = c.pod
		var pods []*corev1.Pod
		if last != nil {
			for key, value := range last.Labels {
				if key+"="+value == selector {
					pods = []*corev1.Pod{last}
				}
			}
		}
		c.mu.Unlock()
		err := on(pods)
		c.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// ListEvents implements clusterbuild.Cluster.
func (c *Cluster) ListEvents(context.Context, string, string) ([]corev1.Event, error) {
	return c.Events, nil
}

// AttachInput implements clusterbuild.Cluster.
func (c *Cluster) AttachInput(ctx context.Context, pod, _ string, in io.Reader) error {
	c.mu.Lock()
	target, cut := c.input, -1
	if c.attach < len(c.CutInput) {
		cut = c.CutInput[c.attach]
	}
	c.attach++
	c.mu.Unlock()
	broken := fault.New(fault.Transient, "fake.attach", "pod/"+pod, "the connection broke off")
	ended := make(chan error, 1)
	go func() {
		if cut >= 0 {
			in = io.LimitReader(in, int64(cut))
		}
		_, err := io.Copy(target, in)
		if err != nil || cut >= 0 {
			err = broken
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// FollowLog implements clusterbuild.Cluster.
func (c *Cluster) FollowLog(ctx context.Context, _, _ string, ended <-chan struct{}, emit func(string) error) error {
	if err := c.Errors["FollowLog"]; err != nil {
		return err
	}
	wake := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	}
	defer context.AfterFunc(ctx, wake)()
	over := false
	go func() {
		select {
		case <-ended:
			c.mu.Lock()
			over = true
			c.mu.Unlock()
			wake()
		case <-ctx.Done():
		}
	}()
	for next := 0; ; next++ {
		c.mu.Lock()
		for next == len(c.log) && !over && ctx.Err() == nil {
			c.changed.Wait()
		}
		if ctx.Err() != nil || next == len(c.log) {
			c.mu.Unlock()
			return ctx.Err()
		}
		line := c.log[next]
		c.mu.Unlock()
		if err := emit(line); err != nil {
			return err
		}
	}
}

// DeleteJob implements clusterbuild.Cluster.
func (c *Cluster) DeleteJob(_ context.Context, name string) error {
	c.Kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.job != nil && c.job.Name != name {
		return fmt.Errorf("there is job %s, and %s was to be deleted", c.job.Name, name)
	}
	c.job = nil
	return c.Errors["DeleteJob"]
}

// SetJobDeadline implements clusterbuild.Cluster.
func (c *Cluster) SetJobDeadline(_ context.Context, name string, seconds int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.Errors["SetJobDeadline"]; err != nil {
		return err
	}
	if c.job == nil || c.job.Name != name || c.job.Spec.ActiveDeadlineSeconds == nil {
		return fmt.Errorf("job %s has no deadline to change", name)
	}
	c.deadlines = append(c.deadlines, seconds)
	return nil
}

// Deadlines are those that the job has been given, in their order.
func (c *Cluster) Deadlines() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.deadlines)
}

// DeleteSecret implements clusterbuild.Cluster.
func (c *Cluster) DeleteSecret(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.secrets, name)
	return nil
}

// Secret is the secret of a name, or nil.
func (c *Cluster) Secret(name string) *corev1.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.secrets[name]
}

// logWriter is the container's output.
type logWriter struct{ c *Cluster }

func (w logWriter) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	lines := strings.Split(w.c.rest+string(p), "\n")
	w.c.log, w.c.rest = append(w.c.log, lines[:len(lines)-1]...), lines[len(lines)-1]
	w.c.changed.Broadcast()
	return len(p), nil
}
