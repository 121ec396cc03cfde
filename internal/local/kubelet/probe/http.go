package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// userAgent is what programs know a cluster's probes by.
const userAgent = "kube-probe/1.35"

const (
	mostOfBody    = 10 << 10
	mostRedirects = 10
)

func (p *Probe) http(ctx context.Context, action *corev1.HTTPGetAction) error {
	port, err := p.port(action.Port)
	if err != nil {
		return err
	}
	if p.speaksHTTP2(port) {
		if p.get(ctx, action, port, true) == nil {
			return nil
		}
	}
	return p.late(ctx, p.get(ctx, action, port, false))
}

func (p *Probe) get(ctx context.Context, action *corev1.HTTPGetAction, port int32, http2 bool) error {
	request, err := newRequest(ctx, action, port)
	if err != nil {
		return err
	}
	transport := p.transport(port, http2)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: followWithin(request.URL.Hostname())}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// As the kubelet does: a server that does not finish its answer is not well.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, mostOfBody)); err != nil {
		return err
	}
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

func newRequest(ctx context.Context, action *corev1.HTTPGetAction, port int32) (*http.Request, error) {
	path, query, _ := strings.Cut(action.Path, "?")
	host := action.Host
	if host == "" {
		host = "127.0.0.1"
	}
	at := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(int(port))), Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: query}
	if action.Scheme == corev1.URISchemeHTTPS {
		at.Scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, h := range action.HTTPHeaders {
		if strings.EqualFold(h.Name, "Host") {
			request.Host = h.Value
			continue
		}
		request.Header.Add(h.Name, h.Value)
	}
	for name, value := range map[string]string{"User-Agent": userAgent, "Accept": "*/*"} {
		if request.Header.Get(name) == "" {
			request.Header.Set(name, value)
		}
	}
	return request, nil
}

func (p *Probe) transport(port int32, http2 bool) *http.Transport {
	t := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		// Whatever host the probe names: it is about this container.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.target.Dial(ctx, port) },
		// As on a cluster: a probe does not judge certificates.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		Protocols:       new(http.Protocols),
	}
	t.Protocols.SetHTTP1(!http2)
	t.Protocols.SetUnencryptedHTTP2(http2)
	return t
}

// followWithin follows redirects to the same host; one to elsewhere is a yes.
func followWithin(host string) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		if next.URL.Hostname() != host {
			return http.ErrUseLastResponse
		}
		if len(via) >= mostRedirects {
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
}
