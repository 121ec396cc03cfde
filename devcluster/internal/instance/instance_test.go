package instance

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

func TestNetworkRangesAreApart(t *testing.T) {
	n := Network()
	for _, pair := range [][2]netip.Prefix{{n.NodeNet, n.Pods}, {n.NodeNet, n.Services}, {n.Pods, n.Services}} {
		if pair[0].Overlaps(pair[1]) {
			t.Errorf("%v and %v overlap", pair[0], pair[1])
		}
	}
	if !n.NodeNet.Contains(n.Node) || !n.Services.Contains(n.Kubernetes) {
		t.Errorf("node %v or service %v lies outside its range", n.Node, n.Kubernetes)
	}
	for _, p := range []netip.Prefix{n.NodeNet, n.Pods, n.Services} {
		if !p.Addr().IsPrivate() || p.Masked() != p {
			t.Errorf("%v is not a well-formed private range", p)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"dev": true, "kn-lite-dev": true, "a": true, "1st": true, strings.Repeat("a", 40): true,
		"": false, "-a": false, "a-": false, "A": false, "a/b": false, "..": false, "a b": false,
		strings.Repeat("a", 41): false, "a\n": false,
	} {
		err := CheckName(name)
		if (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v, want ok: %t", name, err, ok)
		}
		if err != nil && fault.ExitCode(err) != 2 {
			t.Errorf("CheckName(%q): exit code %d, want 2", name, fault.ExitCode(err))
		}
	}
}

func TestParseAddressTakesLoopbackOnly(t *testing.T) {
	for text, ok := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "0.0.0.0": false, "192.0.2.1": false, "::1": false, "": false, "localhost": false,
	} {
		if _, err := ParseAddress(text); (err == nil) != ok {
			t.Errorf("ParseAddress(%q) = %v, want ok: %t", text, err, ok)
		}
	}
}

func TestCandidatesAreLoopbackAndDifferent(t *testing.T) {
	seen := map[netip.Addr]bool{}
	for _, a := range Candidates() {
		if !a.IsLoopback() || seen[a] {
			t.Errorf("%v is no loopback address or stands twice", a)
		}
		seen[a] = true
	}
	if len(seen) != 254 {
		t.Errorf("%d candidates, want 254", len(seen))
	}
}

func TestChooseSkipsAnAddressWhereAPortIsTaken(t *testing.T) {
	first, second := netip.MustParseAddr("127.0.78.1"), netip.MustParseAddr("127.0.78.2")
	taken, err := net.Listen("tcp4", "127.0.78.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	a, l, ports, err := Choose([]netip.Addr{first, second}, Ports{Registry: port})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a != second || ports.Registry != port {
		t.Errorf("chose %v %+v, want %v with registry port %d", a, ports, second, port)
	}
	if ports.Ingress == 0 || ports.API == 0 {
		t.Errorf("ports left open: %+v", ports)
	}

	_, _, _, err = Choose([]netip.Addr{first}, Ports{Registry: port})
	var f *fault.Error
	if !errors.As(err, &f) || !strings.Contains(f.Hint, "--registry-port") {
		t.Errorf("error = %v, want one whose hint names the flag", err)
	}
}

func TestListenClosesWhatItOpenedBeforeAFailure(t *testing.T) {
	address := netip.MustParseAddr("127.0.78.3")
	taken, err := net.Listen("tcp4", "127.0.78.3:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp4", "127.0.78.3:0")
	if err != nil {
		t.Fatal(err)
	}
	freePort := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Listen(address, Ports{Registry: freePort, Ingress: taken.Addr().(*net.TCPAddr).Port}); err == nil {
		t.Fatal("two listeners on one port")
	}
	again, err := net.Listen("tcp4", netip.AddrPortFrom(address, uint16(freePort)).String())
	if err != nil {
		t.Fatalf("the registry port stayed open: %v", err)
	}
	_ = again.Close()
}
