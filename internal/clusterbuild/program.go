package clusterbuild

import (
	"context"
	"io"

	corev1 "k8s.io/api/core/v1"
)

// Program is what the pod of a build runs, seen from here: what it needs of the
// pod, what goes in, what its log and its end mean. Line and LogEnded are called by
// one goroutine, Feed by another, Close and Conclude when both are done.
type Program interface {
	// Shape completes the pod, whose one container has neither arguments nor
	// capabilities yet. unconfined asks for what few namespaces admit; when the
	// cluster refuses that, Shape is called for another pod without it.
	Shape(pod *corev1.PodSpec, unconfined bool)
	// Line receives a line of the log.
	Line(text string) error
	// Begun reports whether the log shows that the program has begun.
	Begun() bool
	// LogEnded is called when the log has been read to its end.
	LogEnded()
	// Feed sends what the program reads, and returns when ctx is done or all is sent.
	Feed(ctx context.Context, attach Attach) error
	// Conclude turns the end of the pod's container into a result or an error. An error
	// counts only where nothing was done to the pod that explains it.
	Conclude(pod string, end *corev1.ContainerStateTerminated) (*Result, error)
	// Close ends all that has been reported as under way.
	Close()
}

// Attach connects what write writes to the input of the pod, until write returns
// or ctx is done. An error of kind Transient is a connection that broke.
type Attach func(ctx context.Context, write func(ctx context.Context, w io.Writer) error) error
