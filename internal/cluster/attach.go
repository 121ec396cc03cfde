package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// The channels of a container's streams inside of a WebSocket
// (https://kubernetes.io/docs/reference/using-api/#streaming-apis).
const (
	channelInput = 0
	channelError = 3
)

// attachChunk is how much is sent in one message: what SPDY, which a kubelet
// may speak behind the API server, has in one frame.
const attachChunk = 32 << 10

// AttachInput feeds in to the standard input of a running container. It returns
// nil when in has ended; the container's input stays open for the next call.
// What the container takes is what is read of in: nothing piles up here.
//
// A connection that breaks is Transient. How much of in has arrived by then is
// not known.
func (c *Client) AttachInput(ctx context.Context, pod, container string, in io.Reader) error {
	k := call{verb: "create", resource: podAttach, name: pod}
	s, err := c.attach(ctx, k, pod, container)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer func() {
		stop()
		_ = s.Close()
	}()
	ended := make(chan error, 1)
	go func() { ended <- parallel.Guard(func() error { return c.hear(s) })() }()
	sent := make(chan error, 1)
	go func() {
		buffer := make([]byte, attachChunk)
		for {
			n, err := in.Read(buffer)
			if n > 0 {
				if err := s.send(frameBinary, channelInput, buffer[:n]); err != nil {
					sent <- broken(pod, err)
					return
				}
			}
			if errors.Is(err, io.EOF) {
				sent <- nil
				return
			}
			if err != nil {
				sent <- err
				return
			}
		}
	}()
	// A reader that hangs must not hang this: it is left behind.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err = <-sent:
	case heard := <-ended:
		err = broken(pod, heard)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func broken(pod string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Transient, "cluster.attach", "pod/"+pod, "the connection to its input broke off: %w", err)
}

// hear reads what the server says until the connection ends.
func (c *Client) hear(s *socket) error {
	for {
		message, err := s.receive()
		if err != nil {
			return err
		}
		if len(message) < 2 || message[0] != channelError {
			continue
		}
		var status metav1.Status
		if json.Unmarshal(message[1:], &status) == nil && status.Status == metav1.StatusFailure {
			return &apierrors.StatusError{ErrStatus: status}
		}
		return io.EOF
	}
}

// attach opens the connection. It goes through the transport of all other
// requests, and with it through the same proxy, certificates and credentials.
func (c *Client) attach(ctx context.Context, k call, pod, container string) (*socket, error) {
	// A connection cannot be taken over from HTTP/2.
	config := rest.CopyConfig(c.config)
	config.NextProtos = []string{"http/1.1"}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	options := &corev1.PodAttachOptions{Container: container, Stdin: true}
	at := c.core.rest.Get().Namespace(c.namespace).Resource("pods").Name(pod).SubResource("attach").
		VersionedParams(options, c.core.params).URL()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	// v5 is what API servers since 1.30 translate for the kubelet; older ones pass
	// v4 on to it. What v5 has beyond v4, closing one stream, is not needed here.
	key, err := upgrade(req, "v5.channel.k8s.io", "v4.channel.k8s.io")
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, c.explain(k, err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		s, err := upgraded(resp, key)
		if err != nil {
			return nil, errors.Join(c.explain(k, err), resp.Body.Close())
		}
		return s, nil
	}
	raw, readErr := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	err = errors.Join(readErr, resp.Body.Close())
	var status metav1.Status
	if err == nil && json.Unmarshal(raw, &status) == nil && status.Kind == "Status" {
		return nil, c.explain(k, &apierrors.StatusError{ErrStatus: status})
	}
	return nil, c.explain(k, errors.Join(apierrors.NewGenericServerResponse(resp.StatusCode, "attach", corev1.Resource("pods"), pod, string(raw), 0, true), err))
}
