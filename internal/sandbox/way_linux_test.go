package sandbox

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// greeter greets whoever connects to a free port of address.
func greeter(t *testing.T, address, greeting string) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(greeting))
			_ = conn.Close()
		}
	}()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// Connections lead where the way says, and to nothing of the host otherwise.
func TestTheWayOut(t *testing.T) {
	box := openBox(t)
	pod, root := newPod(t, box)
	host := greeter(t, "127.0.0.1", "the host")
	outside := netip.MustParseAddr("203.0.113.7") // nobody's: it stands for the world
	var asked []netip.AddrPort
	way, err := pod.Outside(t.Context(), func(to netip.AddrPort) (netip.AddrPort, error) {
		asked = append(asked, to)
		switch {
		case to.Addr() == outside && to.Port() == 80:
			return host, nil
		case to.Addr() == outside && to.Port() == 81:
			return netip.MustParseAddrPort("127.0.0.1:1"), nil // nobody listens
		case to.Addr() == outside:
			return netip.AddrPort{}, unix.EACCES
		}
		return netip.AddrPort{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out locked
	port := strconv.Itoa(int(host.Port()))
	p, err := pod.Start(context.Background(), Start{
		Root: root, Outside: way, Out: &out, Err: &out, Trouble: func(text string) { t.Error(text) },
		Command: Command{Args: []string{
			"/probe", argMember, "dial", "203.0.113.7:80", "[::ffff:203.0.113.7]:80", "203.0.113.7:81", "203.0.113.7:82",
			"127.0.0.1:" + port, "[::1]:" + port, "0.0.0.0:" + port, "192.0.2.99:80",
		}, Dir: "/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended(t, p)
	for _, want := range []string{
		`203.0.113.7:80: "the host" <nil>`, `[::ffff:203.0.113.7]:80: "the host" <nil>`,
		`203.0.113.7:81: "" dial tcp 203.0.113.7:81: connect: connection refused`,
		`203.0.113.7:82: "" dial tcp 203.0.113.7:82: connect: permission denied`,
		"127.0.0.1:" + port + `: "" dial tcp 127.0.0.1:` + port + ": connect: connection refused",
		"[::1]:" + port + `: "" dial tcp [::1]:` + port + ": connect: connection refused",
		"0.0.0.0:" + port + `: "" dial tcp 0.0.0.0:` + port + ": connect: connection refused",
		`192.0.2.99:80: "" dial tcp 192.0.2.99:80: connect: network is unreachable`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("want %q in\n%s", want, out.String())
		}
	}
	if len(asked) < 8 {
		t.Errorf("the way was asked for %v", asked)
	}
	// Without, a pod reaches nothing.
	out.mutex.Lock()
	out.buffer.Reset()
	out.mutex.Unlock()
	ended(t, run(t, pod, root, &out, "dial", "203.0.113.7:80"))
	if !strings.Contains(out.String(), "network is unreachable") {
		t.Errorf("without a way out: %s", out.String())
	}
}

// Many connections at a time find their other ends.
func TestManyConnectionsLeadOut(t *testing.T) {
	pod, root := newPod(t, openBox(t))
	host := greeter(t, "127.0.0.1", strings.Repeat("x", 1000))
	way, err := pod.Outside(t.Context(), func(netip.AddrPort) (netip.AddrPort, error) { return host, nil })
	if err != nil {
		t.Fatal(err)
	}
	var out locked
	var all []*Process
	args := []string{"/probe", argMember, "dial"}
	for i := range 50 {
		args = append(args, "203.0.113.7:"+strconv.Itoa(i+1))
	}
	for range 5 {
		p, err := pod.Start(context.Background(), Start{Root: root, Outside: way, Out: &out, Err: &out, Command: Command{Args: args, Dir: "/"}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	for _, p := range all {
		ended(t, p)
	}
	if n := strings.Count(out.String(), strings.Repeat("x", 1000)+`" <nil>`); n != 250 {
		t.Errorf("%d of 250 connections heard what they should\n%s", n, strings.ReplaceAll(out.String(), "x", ""))
	}
	way.mutex.Lock()
	defer way.mutex.Unlock()
	if len(way.expected) > 0 {
		t.Errorf("still expected: %v", way.expected)
	}
}
