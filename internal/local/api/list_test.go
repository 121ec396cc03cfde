package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/kn-lite/kn-lite/internal/local/api"
)

const configMaps = "/api/v1/namespaces/default/configmaps"

func TestListWithSelectors(t *testing.T) {
	p := start(t)
	for i := range 5 {
		p.must(201, "POST", configMaps, fmt.Sprintf(`{"metadata":{"name":"c%d","labels":{"odd":"%t","n":"%d"}}}`, i, i%2 == 1, i))
	}
	for query, want := range map[string]string{
		"":                               "c0 c1 c2 c3 c4",
		"labelSelector=odd=true":         "c1 c3",
		"labelSelector=n in (0,4)":       "c0 c4",
		"labelSelector=!odd":             "",
		"fieldSelector=metadata.name=c2": "c2",
		"fieldSelector=metadata.name!=c2&labelSelector=odd=false": "c0 c4",
	} {
		if got := p.must(200, "GET", configMaps+"?"+strings.ReplaceAll(query, " ", "%20"), "").names(); got != want {
			t.Errorf("%s: %q instead of %q", query, got, want)
		}
	}
	all := p.must(200, "GET", "/api/v1/configmaps", "")
	if all.names() != "c0 c1 c2 c3 c4" || all.field("kind") != "ConfigMapList" || all.GetResourceVersion() == "" {
		t.Errorf("in all namespaces: %s", all.body)
	}
	if empty := p.must(200, "GET", strings.Replace(services, "default", "nope", 1), ""); empty.field("items") != "[]" {
		t.Errorf("in a namespace that there is not: %s", empty.body)
	}
	p.refused(400, metav1.StatusReasonBadRequest, "field label not supported: spec.x", "GET", configMaps+"?fieldSelector=spec.x=1", "")
	p.refused(400, metav1.StatusReasonBadRequest, "", "GET", configMaps+"?labelSelector=a+in+b", "")
	p.refused(400, metav1.StatusReasonBadRequest, "limit", "GET", configMaps+"?limit=many", "")
}

func TestListInPages(t *testing.T) {
	p := start(t)
	for i := range 7 {
		p.must(201, "POST", configMaps, fmt.Sprintf(`{"metadata":{"name":"c%d"}}`, i))
	}
	var names []string
	query, first := "?limit=3", ""
	for pages := 1; ; pages++ {
		page := p.must(200, "GET", configMaps+query, "")
		names = append(names, page.names())
		if first == "" {
			first = page.GetResourceVersion()
			if got := page.field("metadata", "remainingItemCount"); got != "4" {
				t.Errorf("remaining %s", got)
			}
			// Who follows the list from its version on hears of this.
			p.must(200, "DELETE", configMaps+"/c1", "")
		}
		if page.GetResourceVersion() != first {
			t.Errorf("page %d has version %s, the first %s", pages, page.GetResourceVersion(), first)
		}
		next := page.field("metadata", "continue")
		if next == "null" {
			break
		}
		query = "?limit=3&continue=" + url.QueryEscape(next)
	}
	if got := strings.Join(names, "|"); got != "c0 c1 c2|c3 c4 c5|c6" {
		t.Errorf("pages %s", got)
	}
	p.refused(400, metav1.StatusReasonBadRequest, "continue key is not valid", "GET", configMaps+"?continue=nonsense", "")
	p.refused(410, metav1.StatusReasonExpired, "", "GET", configMaps+"?resourceVersion=1&resourceVersionMatch=Exact", "")
}

// stream is an open watch.
type stream struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func (p *platform) watch(path string) *stream {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	p.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		p.t.Fatalf("watch %s: %s", path, response.Status)
	}
	return &stream{p.t, bufio.NewScanner(response.Body), cancel}
}

// next is the next event as TYPE NAME, "" at the end.
func (s *stream) next() (string, unstructured.Unstructured) {
	s.t.Helper()
	if !s.lines.Scan() {
		return "", unstructured.Unstructured{}
	}
	var event struct {
		Type   string         `json:"type"`
		Object map[string]any `json:"object"`
	}
	if err := json.Unmarshal(s.lines.Bytes(), &event); err != nil {
		s.t.Fatal(err)
	}
	object := unstructured.Unstructured{Object: event.Object}
	return event.Type + " " + object.GetName(), object
}

func (s *stream) want(events ...string) {
	s.t.Helper()
	for _, want := range events {
		if got, object := s.next(); got != want {
			s.t.Fatalf("event %q instead of %q: %v", got, want, object.Object)
		}
	}
}

func TestWatch(t *testing.T) {
	p := start(t)
	p.must(201, "POST", configMaps, `{"metadata":{"name":"a","labels":{"x":"1"}}}`)
	all := p.watch(configMaps + "?watch=true")
	chosen := p.watch(configMaps + "?watch=1&labelSelector=x=1")
	one := p.watch(configMaps + "?watch=true&fieldSelector=metadata.name=b&resourceVersion=" + p.must(200, "GET", configMaps, "").GetResourceVersion())
	p.must(201, "POST", configMaps, `{"metadata":{"name":"b"}}`)
	p.must(200, "PATCH", configMaps+"/b", `{"metadata":{"labels":{"x":"1"}}}`)
	p.must(200, "PATCH", configMaps+"/b", `{"metadata":{"labels":{"y":"1"}}}`)
	p.must(200, "PATCH", configMaps+"/b", `{"metadata":{"labels":{"x":"2"}}}`)
	p.must(200, "DELETE", configMaps+"/b", "")
	p.must(200, "DELETE", configMaps+"/a", "")
	all.want("ADDED a", "ADDED b", "MODIFIED b", "MODIFIED b", "MODIFIED b", "DELETED b", "DELETED a")
	// What comes to match is added for who chose, and what no longer does is deleted.
	chosen.want("ADDED a", "ADDED b", "MODIFIED b", "DELETED b", "DELETED a")
	one.want("ADDED b", "MODIFIED b", "MODIFIED b", "MODIFIED b", "DELETED b")
}

func TestWatchEndsAndBegins(t *testing.T) {
	p := start(t)
	p.must(201, "POST", configMaps, `{"metadata":{"name":"a"}}`)
	begin := time.Now()
	short := p.watch(configMaps + "?watch=true&timeoutSeconds=1")
	short.want("ADDED a")
	if got, _ := short.next(); got != "" || time.Since(begin) > 5*time.Second {
		t.Errorf("%q after %v", got, time.Since(begin))
	}
	initial := p.watch(configMaps + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
	initial.want("ADDED a")
	got, mark := initial.next()
	if got != "BOOKMARK " || mark.GetAnnotations()["k8s.io/initial-events-end"] != "true" || mark.GetResourceVersion() == "" || mark.GetKind() != "ConfigMap" {
		t.Errorf("%s %v", got, mark.Object)
	}
	p.refused(400, metav1.StatusReasonBadRequest, "sendInitialEvents", "GET", configMaps+"?watch=true&sendInitialEvents=true", "")
	p.refused(400, metav1.StatusReasonBadRequest, "resourceVersion", "GET", configMaps+"?watch=true&resourceVersion=x", "")
	// A version of another platform, which this one may reach much later.
	p.refused(504, metav1.StatusReasonTimeout, "Too large resource version: 1000000, current:", "GET", configMaps+"?watch=true&resourceVersion=1000000", "")
}

// A watch lasts longer than a client may take to read: over HTTP/2, which ends a
// stream at its deadline, as over HTTP/1.1.
func TestQuietWatch(t *testing.T) {
	const patience = 100 * time.Millisecond
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			p := start(t, func(o *api.Options) { o.Patience = patience })
			server := httptest.NewUnstartedServer(p.handler)
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+configMaps+"?watch=true", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+token)
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.Proto != protocol {
				t.Fatalf("over %s", response.Proto)
			}
			time.Sleep(4 * patience)
			p.create(configMap("default", "late"))
			(&stream{t, bufio.NewScanner(response.Body), cancel}).want("ADDED late")
		})
	}
}

// Who begins a body and does not end it gets an answer, and is let go.
func TestBodyThatNeverEnds(t *testing.T) {
	p := start(t, func(o *api.Options) { o.Patience = 100 * time.Millisecond })
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", configMaps, token)
	raw, err := io.ReadAll(connection)
	if err != nil || !strings.HasPrefix(string(raw), "HTTP/1.1 504 ") || !strings.Contains(string(raw), "took too long") {
		t.Errorf("%v: %s", err, raw)
	}
}

func TestWatchTooFarBack(t *testing.T) {
	p := start(t)
	for i := range 17000 {
		if _, err := p.store.Create(configMap("default", fmt.Sprint("c", i))); err != nil {
			t.Fatal(err)
		}
	}
	p.refused(410, metav1.StatusReasonExpired, "too old resource version", "GET", configMaps+"?watch=true&resourceVersion=1", "")
}
