// Package probe asks a container once whether it is well, in the ways that
// Kubernetes has: HTTP, TCP, gRPC and a command.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Target is the container that is asked.
type Target interface {
	Dial(ctx context.Context, port int32) (net.Conn, error)
	Exec(ctx context.Context, args []string) (output string, err error)
}

// Probe is a check that can be made again and again.
type Probe struct {
	target  Target
	spec    *corev1.Probe
	ports   []corev1.ContainerPort
	timeout time.Duration
}

// New makes a Probe; ports are the container's.
func New(target Target, spec *corev1.Probe, ports []corev1.ContainerPort) *Probe {
	return &Probe{target, spec, ports, max(time.Duration(spec.TimeoutSeconds)*time.Second, time.Second)}
}

// Check asks once; nil is yes.
func (p *Probe) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	switch h := p.spec.ProbeHandler; {
	case h.HTTPGet != nil:
		return p.http(ctx, h.HTTPGet)
	case h.TCPSocket != nil:
		return p.tcp(ctx, h.TCPSocket)
	case h.GRPC != nil:
		return p.grpc(ctx, h.GRPC)
	case h.Exec != nil:
		_, err := p.target.Exec(ctx, h.Exec.Command)
		return p.late(ctx, err)
	}
	return errors.New("the probe has no handler")
}

// late says in words that the time was not enough.
func (p *Probe) late(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", p.timeout, err)
	}
	return err
}

func (p *Probe) tcp(ctx context.Context, action *corev1.TCPSocketAction) error {
	port, err := p.port(action.Port)
	if err != nil {
		return err
	}
	conn, err := p.target.Dial(ctx, port)
	if err != nil {
		return p.late(ctx, err)
	}
	return conn.Close()
}

// port is a number, the name of one of the container's ports, or, where nothing
// is said, the first of them.
func (p *Probe) port(from intstr.IntOrString) (int32, error) {
	if number := from.IntValue(); number > 0 && number < 1<<16 {
		return int32(number), nil
	}
	for _, port := range p.ports {
		if from.StrVal == "" || from.StrVal == "0" || from.StrVal == port.Name {
			return port.ContainerPort, nil
		}
	}
	return 0, fmt.Errorf("couldn't find port: %s", from.String())
}

// speaksHTTP2 reports whether the port is said to speak HTTP/2 without TLS.
func (p *Probe) speaksHTTP2(number int32) bool {
	for _, port := range p.ports {
		if port.ContainerPort == number {
			return port.Name == "h2c"
		}
	}
	return false
}
