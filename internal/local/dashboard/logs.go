package dashboard

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	logTail  = 200                    // lines that were there before
	logEvery = 100 * time.Millisecond // between two messages
	// logBatch lines are sent at a time. A program that prints faster is shown later,
	// and costs no more.
	logBatch    = 500
	logLineSize = 8 << 10
)

// logLine is one line of one container.
type logLine struct {
	Pod       string `json:"pod"`
	Container string `json:"container,omitempty"` // where the pod has several
	Text      string `json:"text"`

	at time.Time
}

// logs streams what the instances of a revision print, or one of them.
func (d *Dashboard) logs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	f := follower{
		dashboard: d, namespace: query.Get("namespace"), revision: query.Get("revision"), pod: query.Get("pod"),
		lines: make(chan logLine, logBatch), started: map[string]bool{},
	}
	if f.revision == "" || f.namespace == "" {
		writeJSON(w, http.StatusBadRequest, problem{Error: "namespace and revision are missing"})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go f.run(ctx)
	go func() {
		select {
		case <-d.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	out := newStream(w)
	err := out.send("lines", []logLine{}) // so that the page knows that it is connected
	for err == nil {
		batch := f.next(ctx)
		if batch == nil {
			return
		}
		err = out.send("lines", batch)
	}
}

// next waits for lines and returns what there is soon after; an empty batch says that
// the stream is alive, nil that ctx has ended.
func (f *follower) next(ctx context.Context) []logLine {
	batch := []logLine{}
	var due <-chan time.Time
	ping := time.NewTimer(pingEvery)
	defer ping.Stop()
	for {
		lines := f.lines
		if len(batch) >= logBatch {
			lines = nil
		}
		select {
		case line := <-lines:
			if batch = append(batch, line); due == nil {
				due = time.After(logEvery)
			}
		case <-due:
			slices.SortStableFunc(batch, func(a, b logLine) int { return a.at.Compare(b.at) })
			return batch
		case <-ping.C:
			return batch
		case <-ctx.Done():
			return nil
		}
	}
}

// follower reads the logs of a revision's containers, of each new one as well.
type follower struct {
	dashboard                *Dashboard
	namespace, revision, pod string
	lines                    chan logLine
	started                  map[string]bool // containers by id: a restart has one of its own
}

func (f *follower) run(ctx context.Context) {
	if f.dashboard.Logs == nil {
		return
	}
	for first := true; ctx.Err() == nil; {
		w := f.dashboard.Store.Watch(f.dashboard.Store.Version())
		for _, pod := range store.Labelled[*corev1.Pod](f.dashboard.Store, f.namespace, serving.RevisionLabelKey, f.revision) {
			f.start(ctx, pod, first)
		}
		first = false
		for {
			events, err := w.Next(ctx)
			if err != nil {
				break // begin anew: it was too slow, or ctx has ended
			}
			for _, e := range events {
				if pod, ok := e.Object.(*corev1.Pod); ok && e.Change != store.Deleted && pod.Namespace == f.namespace && pod.Labels[serving.RevisionLabelKey] == f.revision {
					f.start(ctx, pod, false)
				}
			}
		}
	}
}

// start follows the containers of a pod that have begun since the last call.
func (f *follower) start(ctx context.Context, pod *corev1.Pod, first bool) {
	if f.pod != "" && pod.Name != f.pod {
		return
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.ContainerID == "" || f.started[c.ContainerID] {
			continue
		}
		f.started[c.ContainerID] = true
		label := ""
		if len(pod.Spec.Containers) > 1 {
			label = c.Name
		}
		options := &corev1.PodLogOptions{Container: c.Name, Follow: true, Timestamps: true}
		if first {
			tail := int64(logTail)
			options.TailLines = &tail
		}
		go f.read(ctx, logLine{Pod: pod.Name, Container: label}, options)
	}
}

func (f *follower) read(ctx context.Context, from logLine, options *corev1.PodLogOptions) {
	log, err := f.dashboard.Logs.Logs(ctx, f.namespace, from.Pod, options)
	if err != nil {
		return // it has gone already, or has printed nothing; its state says why
	}
	defer log.Close()
	for lines := bufio.NewReaderSize(log, logLineSize); ; {
		text, err := readLine(lines)
		if text != "" || err == nil {
			select {
			case f.lines <- stamped(from, text):
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// stamped takes the time off a line: what several instances have printed before is
// shown in its order.
func stamped(line logLine, text string) logLine {
	line.Text = text
	stamp, rest, _ := strings.Cut(text, " ")
	if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
		line.at, line.Text = at, rest
	}
	return line
}

// readLine returns a line without its end. What is longer than the buffer is cut.
func readLine(r *bufio.Reader) (string, error) {
	raw, err := r.ReadSlice('\n')
	text := strings.TrimRight(string(raw), "\r\n")
	for cut := false; errors.Is(err, bufio.ErrBufferFull); cut = true {
		if !cut {
			text += " …"
		}
		_, err = r.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && text == "" {
		return "", io.EOF
	}
	return text, err
}
