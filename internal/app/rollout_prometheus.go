package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/rollout"
)

// prometheusMost bounds an answer of Prometheus.
const prometheusMost = 64 << 20

// prometheus asks a Prometheus server, in the words of whatever it collects.
func (s *signals) prometheus(ctx context.Context, state *rollout.State) (rollout.Source, string, error) {
	if s.request.Prometheus == "" {
		return nil, "", signalError(SignalPrometheus, "the address of no Prometheus was given")
	}
	server, err := url.Parse(s.request.Prometheus)
	if err != nil || server.Scheme != "http" && server.Scheme != "https" || server.Host == "" {
		return nil, "", fault.New(fault.Usage, "rollout.signal", "", "%q is not the address of a Prometheus", s.request.Prometheus).WithHint("e.g. http://prometheus.example:9090")
	}
	p := &prometheusReader{
		server: server, namespace: s.client.Namespace(), revisions: []string{state.Candidate, state.Stable},
		http: &http.Client{Transport: &http.Transport{Proxy: ingress.Proxy(s.Env), DisableKeepAlives: true}},
	}
	source := &scraper{name: "Prometheus at " + server.Host, read: p.read}
	_, err = source.Read(ctx)
	return source, "", err
}

// prometheusReader asks for the counters that a Prometheus has of two revisions.
type prometheusReader struct {
	server    *url.URL
	http      *http.Client
	namespace string
	revisions []string
	dialect   *rollout.Dialect // the first in which there was an answer; nil: none yet
}

func (p *prometheusReader) read(ctx context.Context) ([]rollout.Point, error) {
	dialects := []rollout.Dialect{rollout.EnvoyDialect(), rollout.IstioDialect(), rollout.QueueDialect(), rollout.KnativeDialect()}
	if p.dialect != nil {
		dialects = []rollout.Dialect{*p.dialect} // never two: each request would count twice
	}
	for _, dialect := range dialects {
		all, err := p.query(ctx, dialect.Query(p.namespace, p.revisions))
		if err != nil {
			return nil, err
		}
		if points := dialect.Points(all, "prometheus", p.namespace, ""); len(points) > 0 {
			p.dialect = &dialect
			return points, nil
		}
	}
	return nil, nil
}

// query asks for what an expression is now.
func (p *prometheusReader) query(ctx context.Context, expression string) ([]rollout.Series, error) {
	at := p.server.JoinPath("api", "v1", "query")
	at.RawQuery = url.Values{"query": {expression}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fault.New(fault.Usage, "rollout.signal", p.server.Redacted(), "%w", err)
	}
	response, err := p.http.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the address may have a password in it
		}
		return nil, p.fault(fault.Transient, "no answer: %w", err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, prometheusMost))
	if err != nil {
		return nil, p.fault(fault.Transient, "the answer breaks off: %w", err)
	}
	var answer struct {
		Status string
		Error  string
		Data   struct {
			Result []struct {
				Metric map[string]string
				Value  []any // seconds, and the value as text
			}
		}
	}
	err = json.Unmarshal(raw, &answer)
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		return nil, p.fault(fault.Auth, "the answer is %s", response.Status)
	case err != nil || answer.Status == "":
		return nil, p.fault(fault.Failure, "the answer is %s, and not one of Prometheus", response.Status)
	case answer.Status != "success":
		return nil, p.fault(fault.Failure, "%s", answer.Error)
	}
	var out []rollout.Series
	for _, r := range answer.Data.Result {
		if len(r.Value) != 2 {
			continue
		}
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		name := r.Metric["__name__"]
		delete(r.Metric, "__name__")
		out = append(out, rollout.Series{Name: name, Labels: r.Metric, Value: value})
	}
	return out, nil
}

func (p *prometheusReader) fault(kind fault.Kind, format string, args ...any) *fault.Error {
	return fault.New(kind, "rollout.signal", p.server.Redacted(), format, args...)
}
