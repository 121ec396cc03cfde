package runtime

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/kn-lite/kn-lite/internal/local/pod"
)

// world is what containers may reach: a server with and without TLS at an address of
// this machine that is not loopback, and a resolver that knows its name.
type world struct {
	address     string // without port
	plain, tls  *httptest.Server
	authority   string
	resolver    net.PacketConn
	router, own *httptest.Server // on loopback
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			w.address = ip.IP.String()
		}
	}
	if w.address == "" {
		t.Skip("SKIPPED, this machine has no address but loopback ones")
	}
	serve := func(address, body string, secure bool) *httptest.Server {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body, " ", r.Host) }))
		_ = server.Listener.Close()
		server.Listener = listener
		if secure {
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		return server
	}
	w.plain, w.tls = serve(w.address, "world", false), serve(w.address, "secure world", true)
	w.router, w.own = serve("127.0.0.1", "router", false), serve("127.0.0.1", "secret", false)
	w.authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.tls.Certificate().Raw}))
	if w.resolver, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.resolver.Close() })
	go w.answerNames()
	return w
}

// answerNames knows example.com, which the certificate is for, and nothing else.
func (w *world) answerNames() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := w.resolver.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:n]) != nil || len(m.Questions) == 0 {
			continue
		}
		m.Response, m.Additionals = true, nil
		if m.Questions[0].Name.String() != "example.com." {
			m.RCode = dnsmessage.RCodeNameError
		} else if m.Questions[0].Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(w.address).As4()},
			}}
		}
		if raw, err := m.Pack(); err == nil {
			_, _ = w.resolver.WriteTo(raw, from)
		}
	}
}

func portOf(s *httptest.Server) string {
	return strconv.Itoa(s.Listener.Addr().(*net.TCPAddr).Port)
}

func (w *world) network(open bool) Network {
	return Network{
		Open: open, Port: 7080, Router: netip.MustParseAddrPort(w.router.Listener.Addr().String()), Domains: []string{"127.0.0.1.sslip.io", "localhost"},
		upstreams: func() []string { return []string{w.resolver.LocalAddr().String()} },
	}
}

func fetch(t *testing.T, network Network, files []file, urls ...string) string {
	t.Helper()
	m := newMachineWith(t, Options{Network: network})
	image := m.pull(m.push("client:1", v1.Config{}, layer(t, append(files, program(t))...)))
	var out buffer
	p := m.start(m.sandbox(), pod.Container{
		Image: image, Args: append([]string{"/app", "fetch"}, urls...), Env: []string{"SSL_CERT_FILE=/authority.pem"}, Stdout: &out, Stderr: &out,
	})
	<-p.Done()
	return out.String()
}

type buffer struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

func TestContainersReachTheWorldAndFunctions(t *testing.T) {
	w := newWorld(t)
	const router = "7080"
	functions := map[string]string{
		"http://hello.default.svc.cluster.local":            "router hello.default.svc.cluster.local",
		"http://hello":                                      "router hello",
		"http://hello.default.127.0.0.1.sslip.io:" + router: "router hello.default.127.0.0.1.sslip.io:" + router,
		"http://hello.default.localhost:" + router:          "router hello.default.localhost:" + router,
		"http://127.0.0.1:" + router:                        "router 127.0.0.1:" + router,
		"https://hello.default.svc.cluster.local":           "connection refused",
		"http://127.0.0.1:" + portOf(w.router):              "connection refused",
		"http://127.0.0.1:" + portOf(w.own):                 "connection refused",
		"http://[::1]:" + portOf(w.own):                     "connection refused",
		"http://[::ffff:127.0.0.1]:" + portOf(w.own):        "connection refused",
		"http://0.0.0.0:" + portOf(w.own):                   "connection refused",
		"http://localhost:" + portOf(w.own):                 "connection refused",
		"http://more.than.two.labels.svc.cluster.local":     "no such host",
		"http://nowhere.example":                            "no such host",
	}
	worlds := map[string]string{
		"http://" + w.address + ":" + portOf(w.plain): "world " + w.address,
		"http://example.com:" + portOf(w.plain):       "world example.com",
		"https://example.com:" + portOf(w.tls):        "secure world example.com",
	}
	for _, open := range []bool{true, false} {
		var urls []string
		want := map[string]string{}
		for url, text := range functions {
			urls, want[url] = append(urls, url), text
		}
		for url, text := range worlds {
			if !open {
				if text = "no such host"; strings.Contains(url, w.address) {
					text = "network is unreachable"
				}
			}
			urls, want[url] = append(urls, url), text
		}
		out := fetch(t, w.network(open), []file{{"authority.pem", 0o644, 0, w.authority}}, urls...)
		for url, text := range want {
			found := false
			for line := range strings.Lines(out) {
				found = found || strings.HasPrefix(line, url+": ") && strings.Contains(line, text)
			}
			if !found {
				t.Errorf("open %v: %s: want %q in\n%s", open, url, text, out)
			}
		}
	}
}

// The zero value is a pod alone.
func TestNoNetwork(t *testing.T) {
	w := newWorld(t)
	out := fetch(t, Network{}, nil, "http://"+w.address+":"+portOf(w.plain), "http://example.com")
	if !strings.Contains(out, "network is unreachable") || strings.Count(out, `""`) != 2 {
		t.Error(out)
	}
}

// What a message says of its own length is not believed.
func TestNamesSurviveRubbish(t *testing.T) {
	n := &Network{Open: true, upstreams: func() []string { return nil }}
	good := dnsmessage.Message{Header: dnsmessage.Header{ID: 1}, Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("a.b."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	raw, err := good.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		n.resolve(t.Context(), "udp", raw[:i])
		for b := range 256 {
			damaged := append([]byte(nil), raw...)
			damaged[i] = byte(b)
			n.resolve(t.Context(), "udp", damaged)
		}
	}
	var parser dnsmessage.Parser
	header, err := parser.Start(n.resolve(t.Context(), "udp", raw))
	if err != nil || header.RCode != dnsmessage.RCodeServerFailure || header.ID != 1 {
		t.Errorf("%+v, %v", header, err)
	}
	if _, err := readFramed(strings.NewReader("\xff\xffshort")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
