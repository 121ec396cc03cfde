// Package clusterbuild builds a Dockerfile in a pod of the cluster: the same
// build as here, for machines that have no sandbox to offer. A job with one pod
// runs kn-lite's own image; the context goes in through the pod's standard input,
// what happens comes out through its log, the result through its termination
// message. Credentials are a secret that belongs to the job.
//
// Nothing stays behind: the job, its pod and the secret are deleted at the end,
// whatever the end is. Of a client that was killed the pod notices the silence
// after Silence and gives up, and the cluster removes the job with all that
// belongs to it KeptFor later.
//
// Errors are *fault.Error. What the build says is what it would say here.
package clusterbuild

import (
	"context"
	"io"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

const (
	// Silence is how long the pod waits for a sign of life of its client.
	Silence = time.Minute
	// KeptFor is how long the cluster keeps a job that its client has not removed.
	KeptFor = time.Minute
	// beat is the time between two signs of life.
	beat = 10 * time.Second
	// cleanUp bounds the wait for the removal.
	cleanUp = 30 * time.Second
)

// Cluster is what a build needs of the cluster; internal/cluster implements it.
type Cluster interface {
	// CheckPod has the API server judge the pod and store nothing. admission: the
	// user may create pods, and this one is refused all the same.
	CheckPod(ctx context.Context, pod *corev1.Pod) (admission bool, err error)
	CreateJob(ctx context.Context, job *batchv1.Job) (*batchv1.Job, error)
	CreateSecret(ctx context.Context, secret *corev1.Secret) error
	// WatchPods calls on with the pods that match, now and after every change, and
	// returns the error that on returns.
	WatchPods(ctx context.Context, selector string, on func([]*corev1.Pod) error) error
	ListEvents(ctx context.Context, kind, name string) ([]corev1.Event, error)
	// AttachInput feeds a container until in ends; the input stays open.
	AttachInput(ctx context.Context, pod, container string, in io.Reader) error
	// FollowLog hands on lines until ended is closed and all has been read.
	FollowLog(ctx context.Context, pod, container string, ended <-chan struct{}, emit func(line string) error) error
	// DeleteJob deletes a job, if it is there, and waits until its pods are gone.
	DeleteJob(ctx context.Context, name string) error
	DeleteSecret(ctx context.Context, name string) error
	// SetJobDeadline changes how many seconds after its start a job is ended.
	SetJobDeadline(ctx context.Context, name string, seconds int64) error
}

// Spec says what to build, and in what kind of pod.
type Spec struct {
	Name         string            // of the project, for the names of objects
	Namespace    string            // for messages
	Image        string            // of kn-lite, with ProgramPath's program as its entry point
	Architecture string            // of the node; "" is any
	Resources    map[string]string // cpu, memory, ephemeral-storage: requests and limits; none: small requests, no limit
	DockerConfig []byte            // credentials as a docker config.json; may be nil
	Timeout      time.Duration     // of the whole pod; default an hour
	StartWithin  time.Duration     // default five minutes
	Greeting     time.Duration     // until a container that runs says that it listens; default a minute

	// Program is what the pod runs; nil is kn-lite, which gets Order and Files.
	Program Program
	Order   Order
	Files   []layer.File // the context

	// AuthFiles are beside the credentials in their secret, by name.
	AuthFiles map[string][]byte
	// Lease is how long the pod may outlive this process, where its program does not
	// notice that itself; 0 is where it does. See renew.
	Lease time.Duration

	patience time.Duration // for what is on its way when something has gone wrong
}

// Result is an image in its registry.
type Result struct {
	Digest    string
	Platforms []Platform // empty when the log was cut short
}

// Platform is the image for one platform.
type Platform struct {
	Platform string  `json:"platform"`
	Base     string  `json:"base,omitempty"`
	Layers   []Layer `json:"layers"`
}

// Layer is a layer that the Dockerfile has contributed.
type Layer struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	Cached bool   `json:"cached,omitempty"`
}
