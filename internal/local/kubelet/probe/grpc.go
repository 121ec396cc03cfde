package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// The parts of grpc.health.v1 that a probe needs.
const (
	checkPath    = "/grpc.health.v1.Health/Check"
	serving      = 1
	frameHeader  = 5
	longestFrame = 4 << 10
	stringField  = 1<<3 | 2 // field 1 of the request, the service's name
	statusField  = 1 << 3   // field 1 of the response
)

// grpc asks the gRPC health service: one call over HTTP/2, for which no gRPC
// library is needed.
func (p *Probe) grpc(ctx context.Context, action *corev1.GRPCAction) error {
	var message []byte
	if action.Service != nil && *action.Service != "" {
		message = binary.AppendUvarint([]byte{stringField}, uint64(len(*action.Service)))
		message = append(message, *action.Service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) //nolint:gosec // a name
	address := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(int(action.Port))) + checkPath
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(append(frame, message...)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	request.Header.Set("User-Agent", userAgent)
	transport := p.transport(action.Port, true)
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return p.late(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestFrame))
	if err != nil {
		return p.late(ctx, err)
	}
	return answer(response, body)
}

// answer reads what the health service has said.
func answer(response *http.Response, body []byte) error {
	status := response.Trailer.Get("Grpc-Status")
	if status == "" {
		status = response.Header.Get("Grpc-Status")
	}
	const unimplemented = "12"
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("gRPC probe failed with HTTP status %d", response.StatusCode)
	case status == unimplemented:
		return errors.New("this server does not implement the grpc health protocol (grpc.health.v1.Health)")
	case status != "0":
		return fmt.Errorf("health rpc probe failed: status %s %s%s", status, response.Trailer.Get("Grpc-Message"), response.Header.Get("Grpc-Message"))
	case len(body) < frameHeader:
		return errors.New("health rpc probe failed: no answer")
	}
	if got := healthStatus(body[frameHeader:]); got != serving {
		names := map[uint64]string{0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
		return fmt.Errorf("service unhealthy (responded with %q)", names[got])
	}
	return nil
}

// healthStatus is the only field of a HealthCheckResponse; 0 is left out.
func healthStatus(message []byte) uint64 {
	if len(message) < 2 || message[0] != statusField {
		return 0
	}
	status, _ := binary.Uvarint(message[1:])
	return status
}
