// Package ingress reaches a Knative service from this machine: by the address that
// was given, by DNS, or by what the cluster says of its ingress.
package ingress

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// addressTimeout is how long one address of several is given to accept a
// connection, and DNS to answer.
const addressTimeout = 3 * time.Second

// Dialer connects to wherever a service's host name is served: to the address
// that was given, else where DNS points, else to what the cluster says of its
// ingress. The request keeps its Host header all the while.
type Dialer struct {
	Fixed   string                                                    // HOST or HOST:PORT, or ""
	Private bool                                                      // the host name is one of the cluster's own
	Find    func(ctx context.Context, private bool) ([]string, error) // what the cluster says
	Lookup  func(ctx context.Context, host string) ([]string, error)  // DNS; nil: the system's
	Used    string                                                    // the address of the connection that was made
}

// Dial connects for a request to address.
func (d *Dialer) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Fixed != "" {
		return d.first(ctx, network, []string{withPort(d.Fixed, address)})
	}
	var direct error
	host, port, _ := net.SplitHostPort(address)
	if ip := spelledOut(host); ip != "" {
		return d.first(ctx, network, []string{net.JoinHostPort(ip, port)})
	}
	if direct = d.resolves(ctx, host); direct == nil {
		conn, err := d.first(ctx, network, []string{address})
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		direct = err
	}
	found, err := d.Find(ctx, d.Private)
	if fault.KindOf(err) == fault.NotFound {
		return nil, err // no way of sending it would help
	}
	if err != nil {
		return nil, d.unreachable(host, errors.Join(direct, err))
	}
	for i := range found {
		found[i] = portOf(found[i], address)
	}
	conn, err := d.first(ctx, network, found)
	if err != nil && ctx.Err() == nil {
		return nil, d.unreachable(host, errors.Join(direct, err))
	}
	return conn, err
}

// spelledOut is the address in a name that says it itself: NAME.localhost (RFC 6761,
// 6.3) and NAME.A.B.C.D.sslip.io, which a network may have no DNS for. "" for others.
func spelledOut(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return "127.0.0.1"
	}
	name, ok := strings.CutSuffix(host, ".sslip.io")
	if !ok {
		return ""
	}
	labels := strings.Split(name, ".")
	if ip := net.ParseIP(strings.Join(labels[max(0, len(labels)-4):], ".")); ip != nil {
		return ip.String()
	}
	return ""
}

// first connects to the first address that accepts.
func (d *Dialer) first(ctx context.Context, network string, addresses []string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: addressTimeout}
	var failed []error
	for _, address := range addresses {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			d.Used = address
			return conn, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

func (d *Dialer) unreachable(host string, err error) error {
	return fault.New(fault.Transient, "ingress.dial", host, "no way to reach it from here: %s", strings.ReplaceAll(err.Error(), "\n", "; ")).
		WithHint("if the cluster's ingress is reachable under another address (a port forward, a load balancer), give that one")
}

func (d *Dialer) resolves(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, addressTimeout)
	defer cancel()
	lookup := d.Lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupHost
	}
	_, err := lookup(ctx, host)
	return err
}

// withPort completes a host with the port of the request's own address.
func withPort(hostPort, address string) string {
	if _, _, err := net.SplitHostPort(hostPort); err == nil {
		return hostPort
	}
	_, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort(strings.Trim(hostPort, "[]"), port)
}

// portOf turns the ingress's HTTP port into its HTTPS port for TLS requests;
// the cluster's answer is about HTTP.
func portOf(hostPort, address string) string {
	host, port, err := net.SplitHostPort(hostPort)
	if _, wanted, _ := net.SplitHostPort(address); err == nil && port == "80" && wanted == "443" {
		return net.JoinHostPort(host, wanted)
	}
	return hostPort
}

// PrivateError is for a service that only its cluster reaches.
func PrivateError(host string) error {
	return fault.New(fault.Failure, "ingress.private", host, "the service is private to its cluster, and cannot be reached from here").
		WithHint("send the request from a pod of the cluster, or forward a port to the ingress for private services, e.g.\n" +
			"`kubectl -n NAMESPACE port-forward service/LOCAL-GATEWAY 8080:80`, and give its address")
}
