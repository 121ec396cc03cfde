package ingress

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

func TestDialer(t *testing.T) {
	live, other, gone := listen(t), listen(t), dead(t)
	known := func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	unknown := func(context.Context, string) ([]string, error) { return nil, &net.DNSError{Err: "no such host"} }
	finds := func(addresses ...string) func(context.Context, bool) ([]string, error) {
		return func(context.Context, bool) ([]string, error) { return addresses, nil }
	}
	noFind := func(context.Context, bool) ([]string, error) { return nil, errors.New("not permitted") }

	tests := []struct {
		name    string
		dialer  Dialer
		address string // that the request's URL has
		want    string // "" is an error
		text    string
	}{
		{"a given address goes before DNS", Dialer{Fixed: live, Lookup: known, Find: noFind}, other, live, ""},
		{"a given host takes the URL's port", Dialer{Fixed: "127.0.0.1", Lookup: unknown, Find: noFind}, live, live, ""},
		{"DNS goes before the cluster", Dialer{Lookup: known, Find: finds(other)}, live, live, ""},
		{"unknown to DNS", Dialer{Lookup: unknown, Find: finds(other)}, "fn.example.invalid:80", other, ""},
		{"DNS leads nowhere", Dialer{Lookup: known, Find: finds(other)}, gone, other, ""},
		{"the first that accepts", Dialer{Lookup: unknown, Find: finds(gone, other, live)}, "fn.example.invalid:80", other, ""},
		{"none accepts", Dialer{Lookup: unknown, Find: finds(gone)}, "fn.example.invalid:80", "", "no way to reach it from here"},
		{"there is nothing to reach", Dialer{Lookup: unknown, Find: func(context.Context, bool) ([]string, error) {
			return nil, fault.New(fault.NotFound, "cluster.ingress", "service/fn", "no revision of it has been ready").WithHint("describe it")
		}}, "fn.example.invalid:80", "", "no revision of it"},
		{"the cluster does not tell", Dialer{Lookup: unknown, Find: noFind}, "fn.example.invalid:80", "", "not permitted"},
	}
	for _, tt := range tests {
		conn, err := tt.dialer.Dial(t.Context(), "tcp", tt.address)
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
		if got := conn.RemoteAddr().String(); got != tt.want || tt.dialer.Used != tt.want {
			t.Errorf("%s: connected to %s (%s), want %s", tt.name, got, tt.dialer.Used, tt.want)
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
