package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/net/websocket"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// kubelet serves the attach request with a WebSocket implementation that is not
// ours: the one that Kubernetes itself uses.
func kubelet(protocol string, serve func(ws *websocket.Conn)) http.Handler {
	return websocket.Server{
		Handshake: func(config *websocket.Config, r *http.Request) error {
			if r.URL.Path != "/api/v1/namespaces/ns/pods/p/attach" || r.URL.RawQuery != "container=build&stdin=true" {
				return websocket.ErrBadRequestMethod
			}
			if !slices.Contains(config.Protocol, protocol) {
				return websocket.ErrBadWebSocketProtocol
			}
			config.Protocol = []string{protocol}
			return nil
		},
		Handler: func(ws *websocket.Conn) {
			ws.PayloadType = websocket.BinaryFrame
			serve(ws)
		},
	}
}

// input reads what arrives on the channel of standard input.
func input(ws *websocket.Conn, atMost int) []byte {
	var got []byte
	for len(got) < atMost {
		var message []byte
		if err := websocket.Message.Receive(ws, &message); err != nil {
			break
		}
		if len(message) > 0 && message[0] == channelInput {
			got = append(got, message[1:]...)
		}
	}
	return got
}

func TestAttachInputArrivesWhole(t *testing.T) {
	for _, size := range []int{0, 1, 124, 125, 126, attachChunk - 1, attachChunk, 1 << 16, 1<<20 + 7} {
		for _, protocol := range []string{"v4.channel.k8s.io", "v5.channel.k8s.io"} {
			sent := make([]byte, size)
			noise := rand.NewChaCha8([32]byte{7})
			_, _ = noise.Read(sent)
			arrived := make(chan []byte, 1)
			c := stub(t, kubelet(protocol, func(ws *websocket.Conn) {
				// A ping in between is answered and hurts nobody; so is output.
				ws.PayloadType = websocket.PingFrame
				_, _ = ws.Write([]byte("are you there"))
				ws.PayloadType = websocket.BinaryFrame
				_, _ = ws.Write([]byte("\x01output"))
				arrived <- input(ws, size)
			}).ServeHTTP)
			// Whoever still writes when the server has enough sees a broken connection;
			// the reader ends only when all has arrived.
			in := io.MultiReader(bytes.NewReader(sent), waiting{arrived: arrived, check: func(got []byte) {
				if !bytes.Equal(got, sent) {
					t.Errorf("%s: %d bytes became %d", protocol, size, len(got))
				}
			}})
			if err := c.AttachInput(t.Context(), "p", "build", in); err != nil && fault.KindOf(err) != fault.Transient {
				t.Errorf("%s: %d bytes: %v", protocol, size, err)
			}
		}
	}
}

// waiting is a reader with nothing in it, that ends when the other side has all.
type waiting struct {
	arrived <-chan []byte
	check   func([]byte)
}

func (w waiting) Read([]byte) (int, error) {
	w.check(<-w.arrived)
	return 0, io.EOF
}

func TestAttachInputRefused(t *testing.T) {
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		kind  fault.Kind
		want  string
	}{
		"no right": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusForbidden, status(http.StatusForbidden, metav1.StatusReasonForbidden, `pods "p" is forbidden: User "u" cannot create resource "pods/attach"`, &metav1.StatusDetails{Kind: "pods"}))
		}, fault.Auth, "not permitted to create pods/attach"},
		"no pod": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound, "gone", &metav1.StatusDetails{Kind: "pods", Name: "p"}))
		}, fault.NotFound, "input of pod/p"},
		"no WebSocket": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, fault.Failure, "200"},
		"wrong answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Accept", "no digest")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}, fault.Failure, "does not speak WebSocket"},
	} {
		t.Run(name, func(t *testing.T) {
			err := stub(t, test.serve).AttachInput(t.Context(), "p", "build", strings.NewReader("x"))
			if fault.KindOf(err) != test.kind || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v (%v), want %v: %s", err, fault.KindOf(err), test.kind, test.want)
			}
		})
	}
}

func TestAttachInputCut(t *testing.T) {
	for name, serve := range map[string]func(ws *websocket.Conn){
		"dropped": func(ws *websocket.Conn) { input(ws, 1) },
		"told": func(ws *websocket.Conn) {
			_, _ = ws.Write([]byte("\x03{\"status\":\"Failure\",\"message\":\"container gone\"}"))
		},
		"ended": func(ws *websocket.Conn) { _, _ = ws.Write([]byte("\x03{\"status\":\"Success\"}")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := stub(t, kubelet("v5.channel.k8s.io", serve).ServeHTTP)
			endless, writer := io.Pipe()
			defer writer.Close()
			go func() { _, _ = writer.Write([]byte("first")) }()
			err := c.AttachInput(t.Context(), "p", "build", endless)
			if fault.KindOf(err) != fault.Transient {
				t.Errorf("got %v, want a transient error", err)
			}
			_ = endless.Close()
		})
	}
}

// TestAttachInputInterrupted: neither a reader that hangs nor a server that does
// not read keeps an interrupt from taking effect.
func TestAttachInputInterrupted(t *testing.T) {
	released := make(chan struct{})
	defer close(released)
	for name, in := range map[string]io.Reader{"hanging reader": hanging{released}, "server that does not read": endless{}} {
		ctx, cancel := context.WithCancel(t.Context())
		c := stub(t, kubelet("v5.channel.k8s.io", func(*websocket.Conn) {
			cancel()
			<-released
		}).ServeHTTP)
		if err := c.AttachInput(ctx, "p", "build", in); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

type hanging struct{ until <-chan struct{} }

func (h hanging) Read([]byte) (int, error) { <-h.until; return 0, io.EOF }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestAttachInputReaderFails hands on the reader's own error.
func TestAttachInputReaderFails(t *testing.T) {
	c := stub(t, kubelet("v5.channel.k8s.io", func(ws *websocket.Conn) { input(ws, 100) }).ServeHTTP)
	want := errors.New("the file has changed")
	if err := c.AttachInput(t.Context(), "p", "build", io.MultiReader(strings.NewReader("some"), failing{want})); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestSocketRefusesNonsense feeds frames that no server sends.
func TestSocketRefusesNonsense(t *testing.T) {
	for name, test := range map[string]struct{ frames, want string }{
		"masked":         {"\x82\x81abcdx", "masks"},
		"unknown kind":   {"\x83\x01x", "unknown kind"},
		"too large":      {"\x82\x7f\x00\x00\x00\x00\x7f\xff\xff\xff", "message of"},
		"cut head":       {"\x82", "unexpected EOF"},
		"cut length":     {"\x82\x7e\x01", "unexpected EOF"},
		"cut payload":    {"\x82\x05abc", "unexpected EOF"},
		"no close frame": {"", "unexpected EOF"},
	} {
		s := newSocket(&buffer{in: strings.NewReader(test.frames)}, "")
		if _, err := s.receive(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
	conn := &buffer{in: strings.NewReader("\x02\x02ab\x89\x01p\x80\x01c\x88\x00")}
	s := newSocket(conn, "")
	if message, err := s.receive(); err != nil || string(message) != "abc" {
		t.Errorf("a message in two frames with a ping between them is %q, %v", message, err)
	}
	if _, err := s.receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the close frame: %v", err)
	}
	if got := conn.out.Bytes(); len(got) != 7 || got[0] != frameFinal|framePong || got[6]^got[2] != 'p' {
		t.Errorf("the ping was answered with %x", got)
	}
}

type buffer struct {
	in  io.Reader
	out bytes.Buffer
}

func (b *buffer) Read(p []byte) (int, error)  { return b.in.Read(p) }
func (b *buffer) Write(p []byte) (int, error) { return b.out.Write(p) }
func (b *buffer) Close() error                { return nil }
