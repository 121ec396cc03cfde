package probe_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kn-lite/kn-lite/internal/local/kubelet/probe"
)

// target dials a server of the test, on whatever port.
type target struct {
	address string
	ports   []int32 // that were dialled
	exec    func(args []string) error
}

func (t *target) Dial(ctx context.Context, port int32) (net.Conn, error) {
	t.ports = append(t.ports, port)
	return (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
}

func (t *target) Exec(ctx context.Context, args []string) (string, error) {
	if args[0] == "slow" {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return "", t.exec(args)
}

func serve(t *testing.T, http1, http2 bool, handler http.HandlerFunc) *target {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(http1)
	server.Config.Protocols.SetUnencryptedHTTP2(http2)
	server.Start()
	t.Cleanup(server.Close)
	return &target{address: server.Listener.Addr().String()}
}

func check(t *testing.T, to probe.Target, h corev1.ProbeHandler, ports ...corev1.ContainerPort) error {
	t.Helper()
	return probe.New(to, &corev1.Probe{ProbeHandler: h, TimeoutSeconds: 1}, ports).Check(t.Context())
}

func TestHTTPStatus(t *testing.T) {
	for status, well := range map[int]bool{200: true, 204: true, 302: true, 399: true, 400: false, 404: false, 500: false, 503: false} {
		to := serve(t, true, false, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		err := check(t, to, corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}})
		if (err == nil) != well {
			t.Errorf("status %d: %v", status, err)
		}
		if err != nil && err.Error() != fmt.Sprintf("HTTP probe failed with statuscode: %d", status) {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestHTTPRequest(t *testing.T) {
	var got *http.Request
	to := serve(t, true, false, func(_ http.ResponseWriter, r *http.Request) { got = r })
	err := check(t, to, corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
		Path: "healthz/ready?deep=1", Port: intstr.FromString("web"),
		HTTPHeaders: []corev1.HTTPHeader{{Name: "X-Token", Value: "a"}, {Name: "X-Token", Value: "b"}, {Name: "Host", Value: "fn.example"}, {Name: "Accept", Value: "text/plain"}},
	}}, corev1.ContainerPort{Name: "metrics", ContainerPort: 9090}, corev1.ContainerPort{Name: "web", ContainerPort: 8081})
	if err != nil {
		t.Fatal(err)
	}
	if got.URL.Path != "/healthz/ready" || got.URL.RawQuery != "deep=1" || got.Host != "fn.example" || got.Method != http.MethodGet {
		t.Errorf("%s %s of %s", got.Method, got.URL, got.Host)
	}
	if v := got.Header.Values("X-Token"); len(v) != 2 || got.Header.Get("Accept") != "text/plain" || !strings.HasPrefix(got.UserAgent(), "kube-probe/") {
		t.Errorf("headers %v", got.Header)
	}
	if to.ports[0] != 8081 {
		t.Errorf("port %d was dialled", to.ports[0])
	}
}

func TestHTTPRedirects(t *testing.T) {
	follow := serve(t, true, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	get := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}}
	if err := check(t, follow, get); err == nil {
		t.Error("a redirect to a page that fails is well")
	}
	away := serve(t, true, false, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
	})
	if err := check(t, away, get); err != nil {
		t.Errorf("a redirect to another host: %v", err)
	}
	around := serve(t, true, false, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	if err := check(t, around, get); err == nil {
		t.Error("a redirect to itself is well")
	}
}

func TestHTTP2WithoutTLS(t *testing.T) {
	get := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}}
	for name, port := range map[string]corev1.ContainerPort{"h2c": {Name: "h2c", ContainerPort: 8080}, "http1": {Name: "http1", ContainerPort: 8080}} {
		var version int
		both := serve(t, true, true, func(_ http.ResponseWriter, r *http.Request) { version = r.ProtoMajor })
		if err := check(t, both, get, port); err != nil || (version == 2) != (name == "h2c") {
			t.Errorf("port %s was asked with HTTP/%d, %v", name, version, err)
		}
	}
	port := corev1.ContainerPort{Name: "h2c", ContainerPort: 8080}
	if err := check(t, serve(t, false, true, func(http.ResponseWriter, *http.Request) {}), get, port); err != nil {
		t.Errorf("a server of HTTP/2 alone: %v", err)
	}
	if err := check(t, serve(t, true, false, func(http.ResponseWriter, *http.Request) {}), get, port); err != nil {
		t.Errorf("a server of HTTP/1.1 behind a port h2c: %v", err)
	}
}

func TestHTTPS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	to := &target{address: server.Listener.Addr().String()}
	if err := check(t, to, corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Scheme: corev1.URISchemeHTTPS, Port: intstr.FromInt32(8443)}}); err != nil {
		t.Error(err)
	}
}

func TestTimeIsShort(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for name, h := range map[string]corev1.ProbeHandler{
		"http": {HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(8080)}},
		"grpc": {GRPC: &corev1.GRPCAction{Port: 8080}},
		"exec": {Exec: &corev1.ExecAction{Command: []string{"slow"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			err := check(t, &target{address: silent.Addr().String()}, h)
			if err == nil || !strings.Contains(err.Error(), "no answer within 1s") || time.Since(begun) > 3*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
	}
}

func TestTCP(t *testing.T) {
	to := serve(t, true, false, func(http.ResponseWriter, *http.Request) {})
	port := corev1.ContainerPort{Name: "http1", ContainerPort: 8080}
	for _, from := range []intstr.IntOrString{intstr.FromInt32(8080), intstr.FromInt32(0), intstr.FromString("http1")} {
		if err := check(t, to, corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: from}}, port); err != nil || to.ports[len(to.ports)-1] != 8080 {
			t.Errorf("port %s: %v", from.String(), err)
		}
	}
	if err := check(t, to, corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("nope")}}, port); err == nil {
		t.Error("a port with a name that there is not")
	}
	if err := check(t, &target{address: "127.0.0.1:1"}, corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("nothing listens: %v", err)
	}
}

func TestExec(t *testing.T) {
	to := &target{exec: func(args []string) error {
		if args[0] == "true" {
			return nil
		}
		return errors.New("exited with 1")
	}}
	if err := check(t, to, corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}); err != nil {
		t.Error(err)
	}
	if err := check(t, to, corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"false"}}}); err == nil {
		t.Error("a command that fails is well")
	}
}

// health is a server of grpc.health.v1 as the protocol's specification has it.
func health(status byte, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		wrong := r.Method != http.MethodPost || r.URL.Path != "/grpc.health.v1.Health/Check" ||
			r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("TE") != "trailers" ||
			len(body) < 5 || int(binary.BigEndian.Uint32(body[1:5])) != len(body)-5 ||
			len(body) > 5 && string(body[5:]) != "\x0a\x03app"
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		if !wrong && code == "0" {
			message := []byte{0x08, status}
			if status == 0 {
				message = nil
			}
			_, _ = w.Write(append([]byte{0, 0, 0, 0, byte(len(message))}, message...))
		}
		if wrong {
			code = "13"
		}
		w.Header().Set("Grpc-Status", code)
	}
}

func TestGRPC(t *testing.T) {
	app, none := "app", ""
	tests := []struct {
		name    string
		handler http.HandlerFunc
		service *string
		fails   string
	}{
		{"serving", health(1, "0"), nil, ""},
		{"serving, with a name", health(1, "0"), &app, ""},
		{"serving, with no name", health(1, "0"), &none, ""},
		{"not serving", health(2, "0"), nil, `"NOT_SERVING"`},
		{"unknown", health(0, "0"), nil, `"UNKNOWN"`},
		{"no such service", health(0, "5"), &app, "status 5"},
		{"no health service", health(0, "12"), nil, "does not implement"},
		{"no gRPC", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, nil, "HTTP status 404"},
	}
	for _, tt := range tests {
		err := check(t, serve(t, false, true, tt.handler), corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 8080, Service: tt.service}})
		if (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestProbeWithoutHandler(t *testing.T) {
	if err := check(t, &target{}, corev1.ProbeHandler{}); err == nil {
		t.Error("it is well")
	}
}
