package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
)

// How long an ingress may need to load a route that its controller calls ready
// already, how often it is asked, and how long it is given where it cannot be
// asked.
const (
	ingressTimeout = 10 * time.Second
	ingressEvery   = 100 * time.Millisecond
	ingressLag     = time.Second
)

// Wait is what Wait waits for.
type Wait struct {
	Service string
	Dialer  Dialer
	// Hosts are URLs that may be new: they are asked until something of Knative
	// answers. Empty ones are skipped.
	Hosts []string
	// Moved says that requests to a host that was there before go to another revision.
	// No answer tells which revision gave it, short of calling the function.
	// Controllers that ask their own gateways before they report a route as ready
	// are believed; others get some time.
	Moved, Probed bool
}

// Do waits until the ingress has the route that the cluster calls ready. Not
// every ingress controller has it by then, and the next request would meet its
// 404, or the revision that had the traffic before. It returns what is worth
// knowing afterwards.
//
// An ingress that cannot be reached from here is none of a deploy's business: the
// service serves.
func (w *Wait) Do(ctx context.Context) (notes []string, err error) {
	if w.Moved && !w.Probed {
		if err := backoff.Sleep(ctx, ingressLag); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ingressTimeout)
	defer cancel()
	for _, address := range w.Hosts {
		if address == "" {
			continue
		}
		if target, err := url.Parse(address); err == nil && IsPrivate(target) {
			return append(notes, w.Service+" is private: it can be reached inside its cluster only"), nil
		}
		dialer := w.Dialer
		if !knows(ctx, dialer.Dial, address) {
			notes = append(notes, "the ingress does not know "+address+" yet; it should in a moment")
		}
	}
	return notes, nil
}

// knows asks address until something of Knative answers. It reports false
// only when an ingress kept saying that it knows no such host until ctx ended.
func knows(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), address string) bool {
	transport := &http.Transport{
		DialContext: dial, DisableKeepAlives: true,
		// The question is whether there is a route, not whose certificate it has; nothing secret is sent.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}
	ask := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
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
		if backoff.Sleep(ctx, ingressEvery) != nil {
			return false
		}
	}
}
