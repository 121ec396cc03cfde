package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

func TestReachOf(t *testing.T) {
	for want, all := range map[reach][]string{
		public:  {"8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"},
		private: {"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.100.100.200", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "198.18.0.1"},
		local: {
			"127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1",
			"::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "0.1.2.3", "255.255.255.255",
		},
	} {
		for _, text := range all {
			if got := reachOf(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s: %d, want %d", text, got, want)
			}
		}
	}
}

func TestSameHost(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"reg.example", "https://reg.example/x", true},
		{"reg.example", "https://REG.example:443/x", true},
		{"reg.example", "http://reg.example/x", true},
		{"reg.example", "https://reg.example:8443/x", false},
		{"reg.example:5000", "https://reg.example:5000/x", true},
		{"reg.example:5000", "https://reg.example/x", false},
		{"reg.example", "https://cdn.reg.example/x", false},
		{"localhost:5000", "http://127.0.0.1:5000/x", true},
		{"127.0.0.1:5000", "http://[::1]:5000/x", true},
		{"127.0.0.1:5000", "http://localhost:6000/x", false},
		{"127.0.0.1:5000", "http://127.0.0.1:6000/x", false},
		{"", "https://reg.example/x", false},
	} {
		to, err := url.Parse(tt.to)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameHost(tt.from, to); got != tt.want {
			t.Errorf("%s to %s: %v", tt.from, tt.to, got)
		}
	}
}

// A name is nothing; the address that it has when it is dialled decides.
func TestDialChecksTheAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	at := "localhost:" + port
	for limit, allowed := range map[reach]bool{public: false, private: false, local: true} {
		conn, err := dialWithin(t.Context(), "tcp4", at, limit)
		if (err == nil) != allowed || !allowed && !errors.Is(err, errRefusedTarget) {
			t.Errorf("limit %d: %v", limit, err)
		}
		if err == nil {
			err = conn.Close()
		}
		if retryable(err) {
			t.Errorf("limit %d: it would be tried again", limit)
		}
	}
	// The user's registry was outside; now its name stands for this machine.
	known := &addresses{known: map[string]reach{at: public}}
	if _, err := known.dial(nil)(t.Context(), "tcp4", at); !errors.Is(err, errRefusedTarget) {
		t.Errorf("a name that has moved inside: %v", err)
	}
	known = &addresses{known: map[string]reach{}}
	for range 2 { // on this machine from the start
		conn, err := known.dial(nil)(t.Context(), "tcp4", at)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := known.of(at); got != private {
		t.Errorf("a registry of this machine may send us to %d", got)
	}
}

// hostile is a registry that sends whoever asks for something elsewhere.
func hostile(t *testing.T, way, to string) (address string) {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere := strings.ReplaceAll(to, "SELF", portOf(server.Listener.Addr().String())) + "/v2/x"
		switch {
		case way == "realm" && r.URL.Path == "/v2/":
			w.Header().Set("Www-Authenticate", `Bearer realm="`+elsewhere+`",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/v2/":
		case way == "location" && r.Method == http.MethodPost, way == "next location" && r.Method == http.MethodPatch:
			w.Header().Set("Location", elsewhere)
			w.WriteHeader(http.StatusAccepted)
		case way == "next location" && r.Method == http.MethodPost:
			w.Header().Set("Location", "/v2/me/app/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
		case way == "redirect" && !strings.HasSuffix(r.URL.Path, "/v2/x"):
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// Nothing of this machine is reached by way of a registry, whatever it is called.
func TestHostileRegistryReachesNothing(t *testing.T) {
	var reached atomic.Int64
	victim := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })} //nolint:gosec // a test's
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	victim.ConnState = func(net.Conn, http.ConnState) { reached.Add(1) }
	go func() { _ = victim.Serve(listener) }()
	defer victim.Close()
	port := portOf(listener.Addr().String())
	image, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	policy := Policy{Attempts: 1}
	use := func(way, address string, opts Options) error {
		opts.Policy = policy
		client, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if strings.Contains(way, "location") {
			_, err = client.Push(t.Context(), image, address+"/me/app")
			return err
		}
		_, err = client.Pull(t.Context(), address+"/me/app", v1.Platform{})
		return errors.Join(err, pushErr(t.Context(), client, image, address))
	}
	for _, way := range []string{"realm", "redirect", "location", "next location"} {
		for _, host := range []string{
			"localhost", "LOCALHOST", "localhost.", "a.localhost", "a@localhost", "a:b@localhost", "127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f000001",
			"[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]",
		} {
			for _, scheme := range []string{"http", "https"} {
				err := use(way, hostile(t, way, fmt.Sprintf("%s://%s:%s", scheme, host, port)), Options{})
				if err == nil {
					t.Errorf("%s to %s://%s: no error", way, scheme, host)
				}
			}
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("the service was reached %d times", n)
	}
	// A registry of this machine may send us to itself, by any of its names, and to
	// what the user has named.
	for _, to := range []string{"http://localhost:SELF", "http://127.0.0.1:SELF", "http://127.0.0.1:" + port} {
		opts := Options{Insecure: []string{"127.0.0.1:" + port}}
		if err := use("redirect", hostile(t, "redirect", to), opts); errors.Is(err, errRefusedTarget) {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if reached.Load() == 0 {
		t.Error("what the user has named was not reached, the test is broken")
	}
}

func pushErr(ctx context.Context, client *Client, image v1.Image, address string) error {
	_, err := client.Push(ctx, image, address+"/me/app")
	return err
}

// Servers that speak no TLS answer a hello in three ways: with HTTP, with nothing
// and the end, with a reset. On loopback each is one to speak plain HTTP to.
func TestPlainServersThatHangUp(t *testing.T) {
	for _, reset := range []bool{false, true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) }))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		hangups := &atomic.Int64{}
		go relay(listener, server.Listener.Addr().String(), reset, hangups)
		client, err := New(Options{Policy: Policy{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.endpoint(t.Context(), listener.Addr().String())
		var status *StatusError
		if !errors.As(err, &status) || status.Status != http.StatusNotFound || hangups.Load() == 0 {
			t.Errorf("reset %v: %v, %d hello(s) hung up on", reset, err, hangups.Load())
		}
		client.Close()
		server.Close()
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}

// relay passes connections on to a server, but for those that begin with TLS.
func relay(listener net.Listener, to string, reset bool, hangups *atomic.Int64) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			first := make([]byte, 1)
			if _, err := io.ReadFull(conn, first); err != nil {
				return
			}
			if first[0] == 0x16 { // a handshake
				hangups.Add(1)
				if reset {
					_ = conn.(*net.TCPConn).SetLinger(0)
				}
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer server.Close()
			_, _ = server.Write(first)
			go func() { _, _ = io.Copy(server, conn) }()
			_, _ = io.Copy(conn, server)
		}()
	}
}
