package cli

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// listen gives an address that accepts connections; dead gives one that does not.
func listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

func TestIngressDialer(t *testing.T) {
	live, other, gone := listen(t), listen(t), dead(t)
	known := func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	unknown := func(context.Context, string) ([]string, error) { return nil, &net.DNSError{Err: "no such host"} }
	finds := func(addresses ...string) func(context.Context) ([]string, error) {
		return func(context.Context) ([]string, error) { return addresses, nil }
	}
	noFind := func(context.Context) ([]string, error) { return nil, errors.New("not permitted") }

	tests := []struct {
		name    string
		dialer  ingressDialer
		address string // that the request's URL has
		want    string // "" is an error
		text    string
	}{
		{"a given address goes before DNS", ingressDialer{fixed: live, look: known, find: noFind}, other, live, ""},
		{"a given host takes the URL's port", ingressDialer{fixed: "127.0.0.1", look: unknown, find: noFind}, live, live, ""},
		{"DNS goes before the cluster", ingressDialer{look: known, find: finds(other)}, live, live, ""},
		{"unknown to DNS", ingressDialer{look: unknown, find: finds(other)}, "fn.example.invalid:80", other, ""},
		{"DNS leads nowhere", ingressDialer{look: known, find: finds(other)}, gone, other, ""},
		{"the first that accepts", ingressDialer{look: unknown, find: finds(gone, other, live)}, "fn.example.invalid:80", other, ""},
		{"none accepts", ingressDialer{look: unknown, find: finds(gone)}, "fn.example.invalid:80", "", "no way to reach it from here"},
		{"there is nothing to reach", ingressDialer{look: unknown, find: func(context.Context) ([]string, error) {
			return nil, fault.New(fault.NotFound, "cluster.ingress", "service/fn", "no revision of it has been ready").WithHint("describe it")
		}}, "fn.example.invalid:80", "", "no revision of it"},
		{"the cluster does not tell", ingressDialer{look: unknown, find: noFind}, "fn.example.invalid:80", "", "not permitted"},
	}
	for _, tt := range tests {
		conn, err := tt.dialer.dial(t.Context(), "tcp", tt.address)
		if tt.want == "" {
			if err == nil || !strings.Contains(err.Error(), tt.text) || fault.KindOf(err) != fault.Transient && fault.KindOf(err) != fault.NotFound || fault.HintOf(err) == "" {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := conn.RemoteAddr().String(); got != tt.want || tt.dialer.used != tt.want {
			t.Errorf("%s: connected to %s (%s), want %s", tt.name, got, tt.dialer.used, tt.want)
		}
		conn.Close()
	}
}

func TestPortOf(t *testing.T) {
	for _, tt := range []struct{ found, asked, want string }{
		{"10.0.0.1:80", "fn.example.com:443", "10.0.0.1:443"},
		{"10.0.0.1:80", "fn.example.com:80", "10.0.0.1:80"},
		{"10.0.0.1:31080", "fn.example.com:443", "10.0.0.1:31080"},
		{"[::1]:80", "fn.example.com:443", "[::1]:443"},
	} {
		if got := portOf(tt.found, tt.asked); got != tt.want {
			t.Errorf("portOf(%s, %s) = %s, want %s", tt.found, tt.asked, got, tt.want)
		}
	}
}
