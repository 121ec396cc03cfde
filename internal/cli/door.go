package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
)

// How long an ingress may need to load a route that its controller calls ready
// already, and how often it is asked.
const (
	doorTimeout = 10 * time.Second
	doorEvery   = 100 * time.Millisecond
)

// awaitDoor waits until the ingress leads requests for url to Knative. Not
// every ingress controller does so before it reports the route ready, and the
// first request would meet its 404. An ingress that cannot be reached from here
// is none of deploy's business: the service serves.
func (f *Factory) awaitDoor(ctx context.Context, client *cluster.Client, service, url string) error {
	dialer, err := f.ingressDialer(client, service, "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, doorTimeout)
	defer cancel()
	if !doorOpens(ctx, dialer.dial, url) {
		f.IO.Note("the ingress does not know %s yet; it should in a moment", url)
	}
	return nil
}

// doorOpens asks url until something of Knative answers. It tells false only
// when an ingress kept saying that it knows no such host until ctx ended.
func doorOpens(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), url string) bool {
	transport := &http.Transport{
		DialContext: dial, DisableKeepAlives: true,
		// The question is whether there is a route, not whose certificate it has; nothing secret is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}
	ask := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return true
		}
		// Answered by Knative's queue-proxy or activator: the function sees no request
		// (knative.dev/networking, http/header, ProbeKey).
		request.Header.Set("K-Network-Probe", "queue")
		response, err := ask.Do(request)
		if err != nil {
			return !errors.Is(ctx.Err(), context.DeadlineExceeded)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(doorEvery):
		}
	}
}
