package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// InvokeRequest is one request to a service, or to URL.
type InvokeRequest struct {
	Target
	Tag      string   // to the URL of this tag
	Revision string   // to this one alone, which needs a tag or all of the traffic
	URL      *url.URL // scheme and host of something that is no service; nil: the service

	Method      string   // "": GET, or POST with a body
	Path        *url.URL // path and query, sent as they are
	Header      http.Header
	Body        []byte // nil: none
	ContentType string // "": by Header, else by what Body is

	// Ingress is the HOST or HOST:PORT to connect to; "" is the setting of that name,
	// then what DNS and the cluster say.
	Ingress string
}

// Response is an answer, whatever its status. The caller closes Body, whose
// errors are as Invoke's.
type Response struct {
	Method, URL string
	Address     string // what was connected to
	Status      string // "200 OK"
	StatusCode  int
	Header      http.Header
	Body        io.ReadCloser
	Waited      time.Duration // for the headers
}

// Invoke sends one request. Redirects are answers too. No answer is Transient, or
// Timeout when ctx ended.
func (a *App) Invoke(ctx context.Context, r InvokeRequest) (*Response, error) {
	if r.URL != nil {
		return a.exchange(ctx, r, r.URL, &ingress.Dialer{Fixed: r.URL.Host})
	}
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	snap, known, err := knownTargets(ctx, client.Traffic(), r.Service)
	if err != nil {
		return nil, err
	}
	target, err := targetURL(snap, known, r.Tag, r.Revision)
	if err != nil {
		return nil, err
	}
	dialer, err := a.dialer(client, r.Service, r.Ingress)
	if err != nil {
		return nil, err
	}
	if dialer.Private = ingress.IsPrivate(target); dialer.Private && dialer.Fixed == "" && a.Env("KUBERNETES_SERVICE_HOST") == "" {
		// Addresses of the cluster mean something else out here: nothing is sent to them.
		return nil, ingress.PrivateError(target.Hostname())
	}
	return a.exchange(ctx, r, target, dialer)
}

// targetURL returns the URL of a service, or of its tag or revision.
func targetURL(snap *traffic.Snapshot, known traffic.Known, tag, revision string) (*url.URL, error) {
	raw := snap.URL
	switch {
	case tag != "":
		i := snap.Observed.Tagged(tag)
		if i < 0 {
			if _, err := oneRevision(known, "tag:"+tag); err != nil {
				return nil, err
			}
			return nil, fault.New(fault.Partial, "invoke", "tag "+tag, "the cluster has not given it a URL yet").WithHint("see `kn-lite traffic show %s`", snap.Name)
		}
		raw = snap.Observed[i].URL
	case revision != "":
		name, err := oneRevision(known, revision)
		if err != nil {
			return nil, err
		}
		if raw, err = revisionURL(snap, name); err != nil {
			return nil, err
		}
	}
	if raw == "" {
		why := "starting"
		if snap.Ready == traffic.NotReady {
			why = "not ready"
		}
		for _, part := range []string{snap.Reason, snap.Message} {
			if part != "" {
				why += ": " + part
			}
		}
		return nil, fault.New(fault.Partial, "invoke", "service/"+snap.Name, "it has no URL yet: %s", why).
			WithHint("see `kn-lite describe %s`", snap.Name)
	}
	return url.Parse(raw)
}

// revisionURL returns a URL that leads to one revision and no other.
func revisionURL(snap *traffic.Snapshot, name string) (string, error) {
	for _, t := range snap.Observed {
		if t.Pin(snap.LatestReady) == name && t.Tag != "" && t.URL != "" {
			return t.URL, nil
		}
	}
	if snap.Observed.Percent(name, snap.LatestReady) == 100 {
		return snap.URL, nil
	}
	return "", fault.New(fault.Conflict, "invoke", "revision/"+name, "it has neither a tag nor all of the traffic, so no URL leads to it alone").
		WithHint("Knative gives URLs to tags: give it one, or invoke the service")
}

// newRequest returns the HTTP request for target.
func (a *App) newRequest(ctx context.Context, r InvokeRequest, target *url.URL) (*http.Request, error) {
	at := *target
	if r.Path != nil {
		at.Path, at.RawPath, at.RawQuery = r.Path.Path, r.Path.RawPath, r.Path.RawQuery
	}
	method := strings.ToUpper(r.Method)
	if method == "" {
		method = http.MethodGet
		if r.Body != nil {
			method = http.MethodPost
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, fault.New(fault.Usage, "invoke", "", "%w", err)
	}
	if request.Header = r.Header.Clone(); request.Header == nil {
		request.Header = http.Header{}
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host // net/http does not send it from the header
		request.Header.Del("Host")
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "kn-lite/"+a.Version)
	}
	switch {
	case r.ContentType != "":
		request.Header.Set("Content-Type", r.ContentType)
	case r.Body != nil && request.Header.Get("Content-Type") == "":
		request.Header.Set("Content-Type", typeOf(r.Body))
	}
	return request, nil
}

func typeOf(body []byte) string {
	switch {
	case json.Valid(body):
		return "application/json"
	case utf8.Valid(body):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// exchange sends a request to target and returns the answer's head.
func (a *App) exchange(ctx context.Context, r InvokeRequest, target *url.URL, dialer *ingress.Dialer) (*Response, error) {
	request, err := a.newRequest(ctx, r, target)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: dialer.Dial, DisableKeepAlives: true, ForceAttemptHTTP2: false}
	if dialer.Fixed == "" && !dialer.Private {
		// As curl: where a proxy leads to the cluster, DNS and the ingress are its business.
		transport.Proxy = ingress.Proxy(a.Env)
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	start := a.Now()
	response, err := client.Do(request) //nolint:bodyclose // the caller closes Response.Body
	if err != nil {
		return nil, noAnswer(request, dialer, err)
	}
	return &Response{
		Method: request.Method, URL: request.URL.String(), Address: dialer.Used,
		Status: response.Status, StatusCode: response.StatusCode, Header: response.Header,
		Body: &answerBody{response.Body, request, dialer}, Waited: a.Now().Sub(start),
	}, nil
}

// answerBody explains what goes wrong while an answer is read.
type answerBody struct {
	io.ReadCloser
	request *http.Request
	dialer  *ingress.Dialer
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = noAnswer(b.request, b.dialer, err)
	}
	return n, err
}

func noAnswer(request *http.Request, dialer *ingress.Dialer, err error) error {
	// net/http's own wrapper repeats the method and the URL.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if fault.HintOf(err) != "" {
		return err
	}
	kind := fault.Transient
	if request.Context().Err() != nil {
		kind = fault.KindOf(request.Context().Err())
	}
	subject := request.URL.String()
	if dialer.Used != "" {
		subject += " at " + dialer.Used
	}
	return fault.New(kind, "invoke", subject, "no answer: %w", err)
}

// Fault returns what the status of an answer means; nil below 400.
func (r *Response) Fault() error {
	if r.StatusCode < http.StatusBadRequest {
		return nil
	}
	err := fault.New(fault.Failure, "invoke", r.URL, "the answer is %s", r.Status)
	if r.StatusCode == http.StatusNotFound {
		return err.WithHint("either the function has no such path, or the ingress does not know the host yet: `kn-lite traffic show` tells")
	}
	return err
}
