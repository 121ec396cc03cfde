package cluster

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func (c *Client) readLog(ctx context.Context, s stream, o LogOptions, emit func(LogLine) error) error {
	var last time.Time
	return c.readLogFrom(ctx, s, o, &last, emit)
}

// readLogFrom reads a log from after last, or from where the options say, and
// moves last on. Lines are asked for with their times, which find the place
// again after a cut, and are handed on without.
func (c *Client) readLogFrom(ctx context.Context, s stream, o LogOptions, last *time.Time, emit func(LogLine) error) error {
	request := corev1.PodLogOptions{Container: s.line.Container, Follow: o.Follow, Previous: o.Previous, Timestamps: true}
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
