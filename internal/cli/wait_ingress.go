package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	neturl "net/url"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
)

// How long an ingress may need to load a route that its controller calls ready
// already, how often it is asked, and how long it is given where it cannot be
// asked.
const (
	ingressTimeout = 10 * time.Second
	ingressEvery   = 100 * time.Millisecond
	ingressLag     = time.Second
)

// waitForIngress waits until the ingress has the route of service that the
// cluster calls ready. Not every ingress controller has it by then, and the
// next request would meet its 404, or the revision that had the traffic before.
//
// hosts are URLs that may be new: they are asked until something of Knative
// answers. When requests to a host that was there before have moved, no answer
// tells which revision gave it, short of calling the function. Controllers that
// ask their own gateways before they report a route as ready are believed;
// others get some time.
//
// An ingress that cannot be reached from here is none of deploy's business: the
// service serves.
func (f *Factory) waitForIngress(ctx context.Context, client *cluster.Client, service string, hosts []string, moved bool) error {
	if moved && !client.IngressIsProbed(ctx, service) {
		timer := time.NewTimer(ingressLag)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	dialer, err := f.ingressDialer(client, service, "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ingressTimeout)
	defer cancel()
	for _, url := range hosts {
		if target, err := neturl.Parse(url); err == nil && clusterLocal(target) {
			f.IO.Note("%s is private: it can be reached inside its cluster only", service)
			return nil
		}
		if url != "" && !ingressKnows(ctx, dialer.dial, url) {
			f.IO.Note("the ingress does not know %s yet; it should in a moment", url)
		}
	}
	return nil
}

// ingressKnows asks url until something of Knative answers. It reports false
// only when an ingress kept saying that it knows no such host until ctx ended.
func ingressKnows(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), url string) bool {
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
		case <-time.After(ingressEvery):
		}
	}
}
