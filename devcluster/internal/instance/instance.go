// Package instance is one named devcluster as plain data: its folder, its
// addresses and its ports. Nothing here starts or changes anything.
package instance

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

// Fixed holds the addresses that are the same in every machine: each has a network
// namespace of its own, so instances share them without ever meeting.
type Fixed struct {
	// Node is the address Kubernetes knows the node by.
	Node netip.Addr
	// NodeNet is the range Node is in.
	NodeNet netip.Prefix
	// Pods and Services are the cluster's two ranges.
	Pods, Services netip.Prefix
	// Kubernetes is the cluster IP of the API server: the first of Services.
	Kubernetes netip.Addr
}

// Network returns the addresses inside every machine. They are private ones
// (RFC 1918) that reach no host: a machine has no way out.
func Network() Fixed {
	services := netip.MustParsePrefix("10.77.128.0/17")
	return Fixed{
		Node:       netip.MustParseAddr("10.77.0.1"),
		NodeNet:    netip.MustParsePrefix("10.77.0.0/24"),
		Pods:       netip.MustParsePrefix("10.77.64.0/18"),
		Services:   services,
		Kubernetes: services.Addr().Next(),
	}
}

// Ports on the instance's loopback address. Zero means "choose".
type Ports struct {
	Registry int `json:"registry"`
	Ingress  int `json:"ingress"`
	API      int `json:"api"`
}

// DefaultPorts are what users of the three expect.
func DefaultPorts() Ports { return Ports{Registry: 5000, Ingress: 80, API: 6443} }

// Instance is one named devcluster.
type Instance struct {
	Name string `json:"name"`
	// Folder holds everything the instance keeps on disk.
	Folder string `json:"folder"`
	// Address is the loopback address of the host that the instance answers on.
	Address netip.Addr `json:"address"`
	Ports   Ports      `json:"ports"`
}

// Registry is "host:port" of the instance's registry, the same inside and outside
// the machine.
func (i Instance) Registry() string { return i.hostPort(i.Ports.Registry) }

// Ingress is "host:port" of the ingress for clients on the host.
func (i Instance) Ingress() string { return i.hostPort(i.Ports.Ingress) }

// API is "host:port" of the API server for clients on the host.
func (i Instance) API() string { return i.hostPort(i.Ports.API) }

func (i Instance) hostPort(port int) string {
	return netip.AddrPortFrom(i.Address, uint16(port)).String()
}

// Domain is the suffix of service URLs. A resolver that knows sslip.io leads it to
// the instance's address; without one, clients send the name as Host header.
func (i Instance) Domain() string { return i.Address.String() + ".sslip.io" }

// Node is the Kubernetes node's name and the machine's host name.
func (i Instance) Node() string { return "devcluster-" + i.Name }

// Cgroup is the path, below every hierarchy's root, of all the instance's pods.
func (i Instance) Cgroup() string { return CgroupRoot + "/" + i.Name }

// CgroupRoot is the parent of all instances' cgroups.
const CgroupRoot = "/kn-lite-devcluster"

// Path joins parts to the instance's folder.
func (i Instance) Path(parts ...string) string {
	return filepath.Join(append([]string{i.Folder}, parts...)...)
}

// CheckName refuses names that could not be a node name, a folder or a cgroup.
// The rule is DNS-1123's label, at most 40 characters long.
func CheckName(name string) error {
	if ok, _ := regexp.MatchString(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`, name); ok {
		return nil
	}
	return &fault.Error{
		Op: "instance name", Subject: strconv.Quote(name), Usage: true,
		Err:  fmt.Errorf("not a name of at most 40 lower-case letters, digits and dashes that begins and ends with a letter or digit"),
		Hint: "for example --name dev",
	}
}

// Candidates are the loopback addresses to try for a new instance, best first:
// 127.0.77.1 to 127.0.77.254. A person who starts one cluster gets the first.
func Candidates() []netip.Addr {
	out := make([]netip.Addr, 0, 254)
	for a := netip.MustParseAddr("127.0.77.1"); len(out) < cap(out); a = a.Next() {
		out = append(out, a)
	}
	return out
}

// ParseAddress reads an --address flag: any IPv4 loopback address will do, and
// nothing else will, since the cluster has no authentication in front of its ingress.
func ParseAddress(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err == nil && (!a.IsLoopback() || !a.Is4()) {
		err = fmt.Errorf("not an IPv4 loopback address")
	}
	if err != nil {
		return netip.Addr{}, &fault.Error{
			Op: "--address", Subject: strconv.Quote(text), Err: err, Usage: true,
			Hint: "give one in 127.0.0.0/8, or leave the flag away to have one chosen",
		}
	}
	return a, nil
}
