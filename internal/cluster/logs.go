package cluster

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// LogOptions says which log lines are wanted.
type LogOptions struct {
	Service   string
	Revision  string // when set, only this one of the service's
	Container string // "" is the user's container
	Follow    bool
	Since     time.Duration // 0: from the start
	Tail      int64         // last lines of each pod that runs already; negative: all
}

// LogLine is one line without its end.
type LogLine struct {
	Revision, Pod, Container, Text string
}

// Selector matches the pods that are meant.
func (o LogOptions) Selector() string {
	if o.Revision != "" {
		return serving.RevisionLabelKey + "=" + o.Revision
	}
	return serving.ServiceLabelKey + "=" + o.Service
}

// Logs hands the log lines of a service's pods to emit, one call at a time.
// Without Follow it reads each pod's log to its end, the oldest pod first, and
// returns how many pods had one; with Follow it takes in pods as they come, goes
// on after restarts and cut connections, and ends with ctx or an error of emit.
func (c *Client) Logs(ctx context.Context, o LogOptions, emit func(LogLine) error) (pods int, err error) {
	if o.Follow {
		return c.followLogs(ctx, o, emit)
	}
	list, err := c.ListPods(ctx, o.Selector())
	if err != nil {
		return 0, err
	}
	for _, pod := range setOf(pointers(list)).sorted() {
		stream, ok := streamOf(pod, o)
		if !ok {
			continue
		}
		err := c.readLog(ctx, stream, o, emit)
		switch {
		case err == nil:
			pods++
		case fault.KindOf(err) != fault.NotFound: // deleted since the list
			return pods, err
		}
	}
	return pods, nil
}

// stream is one run of one container.
type stream struct {
	pod       types.UID
	restart   int32
	line      LogLine // without text
	fromStart bool    // it began after the watch did: nothing of it has been missed
}

// streamOf is the log of a pod's container, if it has written one.
func streamOf(pod *corev1.Pod, o LogOptions) (stream, bool) {
	container := o.Container
	if container == "" {
		container = userContainerName(pod)
	}
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name != container {
			continue
		}
		started := status.State.Running != nil || status.State.Terminated != nil || status.RestartCount > 0
		return stream{pod: pod.UID, restart: status.RestartCount, line: LogLine{
			Revision: pod.Labels[serving.RevisionLabelKey], Pod: pod.Name, Container: container,
		}}, started
	}
	return stream{}, false
}

func userContainerName(pod *corev1.Pod) string {
	first := ""
	for _, container := range pod.Spec.Containers {
		switch container.Name {
		case UserContainer:
			return UserContainer
		case QueueProxy:
		default:
			if first == "" {
				first = container.Name
			}
		}
	}
	return first
}

// follower reads many logs at once.
type follower struct {
	client *Client
	o      LogOptions
	ctx    context.Context // of all readers; cancelled by the first error of emit
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu   sync.Mutex // one line at a time
	emit func(LogLine) error

	running sync.Map // of stream keys
}

type streamKey struct {
	pod     types.UID
	restart int32
}

func (c *Client) followLogs(ctx context.Context, o LogOptions, emit func(LogLine) error) (int, error) {
	f := &follower{client: c, o: o, emit: emit}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	seen, first := make(map[streamKey]bool), true
	err := c.WatchPods(f.ctx, o.Selector(), func(pods []*corev1.Pod) error {
		for _, pod := range pods {
			s, ok := streamOf(pod, o)
			key := streamKey{s.pod, s.restart}
			if !ok || seen[key] {
				continue
			}
			seen[key] = true
			s.fromStart = !first
			f.running.Store(key, true)
			f.wg.Go(func() { f.read(s) })
		}
		for key := range seen {
			if !alive(key, pods) {
				f.running.Delete(key)
			}
		}
		first = false
		return nil
	})
	if cause := context.Cause(f.ctx); cause != nil && ctx.Err() == nil {
		err = cause
	}
	f.cancel(err)
	f.wg.Wait()
	return len(seen), err
}

// alive tells whether a stream may still get lines.
func alive(key streamKey, pods []*corev1.Pod) bool {
	for _, pod := range pods {
		if pod.UID != key.pod {
			continue
		}
		for _, status := range pod.Status.ContainerStatuses {
			if status.RestartCount == key.restart && status.State.Running != nil {
				return true
			}
		}
	}
	return false
}

// read follows one container to its end, over cut connections.
func (f *follower) read(s stream) {
	o := f.o
	if s.fromStart {
		o.Since, o.Tail = 0, -1
	}
	var last time.Time
	again := newPause(rewatchAfter, rewatchAtMost)
	for f.ctx.Err() == nil {
		err := f.client.readLogFrom(f.ctx, s, o, &last, func(line LogLine) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.ctx.Err() != nil {
				return f.ctx.Err() // another reader's line was the last one wanted
			}
			if err := f.emit(line); err != nil {
				f.cancel(err)
				return err
			}
			return nil
		})
		if _, running := f.running.Load(streamKey{s.pod, s.restart}); !running {
			return
		}
		if err != nil && fault.KindOf(err) != fault.Transient && fault.KindOf(err) != fault.Failure {
			return
		}
		if again.wait(f.ctx) != nil {
			return
		}
	}
}

func (c *Client) readLog(ctx context.Context, s stream, o LogOptions, emit func(LogLine) error) error {
	var last time.Time
	return c.readLogFrom(ctx, s, o, &last, emit)
}

// readLogFrom reads a log from after last, or from where the options say, and
// moves last on. Lines are asked for with their times, which find the place
// again after a cut, and are handed on without.
func (c *Client) readLogFrom(ctx context.Context, s stream, o LogOptions, last *time.Time, emit func(LogLine) error) error {
	request := corev1.PodLogOptions{Container: s.line.Container, Follow: o.Follow, Timestamps: true}
	switch {
	case !last.IsZero():
		request.SinceTime = &metav1.Time{Time: *last}
	default:
		if o.Since > 0 {
			seconds := max(int64(o.Since/time.Second), 1)
			request.SinceSeconds = &seconds
		}
		if o.Tail >= 0 {
			request.TailLines = &o.Tail
		}
	}
	body, err := c.PodLogs(ctx, s.line.Pod, request)
	if err != nil {
		return err
	}
	defer body.Close()
	after := *last
	lines := bufio.NewReader(body)
	for {
		text, err := lines.ReadString('\n')
		if text != "" {
			at, rest := cutTime(strings.TrimSuffix(text, "\n"))
			if at.IsZero() || at.After(after) {
				if !at.IsZero() {
					*last = at
				}
				line := s.line
				line.Text = rest
				if err := emit(line); err != nil {
					return err
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fault.New(fault.Transient, "cluster.logs", "pod/"+s.line.Pod, "the log broke off: %w", err)
		}
	}
}

// cutTime splits the kubelet's time from the line; a line without one (an
// error text of the kubelet) is kept whole.
func cutTime(line string) (time.Time, string) {
	stamp, rest, _ := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return time.Time{}, line
	}
	return at, rest
}
