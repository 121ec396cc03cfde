package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/internal/traffic"
	"github.com/kn-lite/kn-lite/test/kubestub"
)

// stubbed returns an App whose cluster is the stub with test/script's services, and
// what it reports. Its ingress is where every request goes.
func stubbed(t *testing.T, ingress string) (*App, *progresstest.Recorder) {
	t.Helper()
	manifests, err := os.ReadFile("../../test/script/clusters/hello.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return stubbedWith(t, string(manifests), ingress)
}

// stubbedWith is stubbed with other objects.
func stubbedWith(t *testing.T, manifests, ingress string) (*App, *progresstest.Recorder) {
	t.Helper()
	stub, err := kubestub.New(manifests)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, stop := stub.Serve()
	t.Cleanup(stop)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	recorder := &progresstest.Recorder{}
	return &App{
		Settings: func() (*settings.Settings, error) { return &settings.Settings{Ingress: ingress}, nil },
		Cluster: func(namespace string) (*cluster.Client, error) {
			return cluster.New(cluster.Options{Kubeconfig: file, Namespace: namespace, Env: func(string) string { return "" }})
		},
		Progress: recorder, Env: func(string) string { return "" }, Now: time.Now, Version: "v0",
	}, recorder
}

var hello = Target{Service: "hello"}

func TestList(t *testing.T) {
	a, _ := stubbed(t, "")
	got, err := a.List(t.Context(), ListRequest{})
	if err != nil || got.Namespace != "demo" || len(got.Services) == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if !slices.IsSortedFunc(got.Services, func(a, b *traffic.Snapshot) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not in order")
	}
	if got, err := a.List(t.Context(), ListRequest{Namespace: "empty"}); err != nil || len(got.Services) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := a.List(t.Context(), ListRequest{Namespace: "nosuch"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a namespace that is not there: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	a, _ := stubbed(t, "")
	view, err := a.Describe(t.Context(), hello)
	if err != nil || view.Name != "hello" || len(view.Revisions) != 3 || view.Revisions[0].Name != "hello-v3" {
		t.Errorf("%+v, %v", view, err)
	}
	if _, err := a.Describe(t.Context(), Target{Service: "nosuch"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}

func TestDelete(t *testing.T) {
	a, seen := stubbed(t, "")
	asked := 0
	confirm := func(answer bool) func(string, []string) (bool, error) {
		return func(namespace string, services []string) (bool, error) {
			asked++
			if namespace != "demo" || len(services) != 1 {
				t.Errorf("asked about %v in %s", services, namespace)
			}
			return answer, nil
		}
	}
	if out, err := a.Delete(t.Context(), DeleteRequest{Services: []string{"hello", "nosuch"}, Confirm: confirm(true)}); fault.KindOf(err) != fault.NotFound || len(out.Deleted) > 0 || asked > 0 {
		t.Errorf("one of two is not there: %v, %v, asked %d times", out, err, asked)
	}
	if out, err := a.Delete(t.Context(), DeleteRequest{Services: []string{"hello"}, Confirm: confirm(false)}); err == nil || len(out.Deleted) > 0 || asked != 1 {
		t.Errorf("refused: %v, %v, asked %d times", out, err, asked)
	}
	if _, err := a.Describe(t.Context(), hello); err != nil {
		t.Fatalf("it is gone: %v", err)
	}
	out, err := a.Delete(t.Context(), DeleteRequest{Services: []string{"hello", "hello"}, NoWait: true})
	if err != nil || !slices.Equal(out.Deleted, []string{"hello"}) || !slices.Contains(seen.Lines(), "step deleting hello") {
		t.Errorf("%v, %v, %v", out, err, seen.Lines())
	}
	if _, err := a.Describe(t.Context(), hello); fault.KindOf(err) != fault.NotFound {
		t.Errorf("it is still there: %v", err)
	}
}

func TestLogs(t *testing.T) {
	a, _ := stubbed(t, "")
	var lines []string
	started := 0
	logs, err := a.Logs(t.Context(), LogsRequest{
		Target: hello, Revision: "@latest", Tail: -1,
		Started: func(mixed bool) {
			if started++; mixed || len(lines) > 0 {
				t.Errorf("started with mixed %v after %d lines", mixed, len(lines))
			}
		},
		Emit: func(l cluster.LogLine) error { lines = append(lines, l.Revision+" "+l.Text); return nil },
	})
	if diff := cmp.Diff([]string{"hello-v2 listening on 8080", "hello-v2 GET /"}, lines); diff != "" || err != nil || logs != 1 || started != 1 {
		t.Errorf("%d logs, %v, started %d times\n%s", logs, err, started, diff)
	}
	for ref, kind := range map[string]fault.Kind{"v9": fault.NotFound, "git:1": fault.Usage} {
		if _, err := a.Logs(t.Context(), LogsRequest{Target: hello, Revision: ref}); fault.KindOf(err) != kind {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestSplit(t *testing.T) {
	a, seen := stubbed(t, "")
	half := traffic.Edit{{Ref: "v1", Percent: 50}, {Ref: "v2", Percent: 50}}
	previewed := ""
	request := SplitRequest{Target: hello, Want: traffic.Request{Edit: half}, DryRun: true, Preview: func(r traffic.Result) error {
		previewed = traffic.DiffText(r.Changes)
		return nil
	}}
	out, err := a.Split(t.Context(), request)
	if err != nil || !out.Changed || out.Spec.String() != "hello-v1(blue)=50 hello-v2=50" || previewed == "" {
		t.Fatalf("dry run: %+v, %v, %q", out, err, previewed)
	}
	if now, err := a.ShowTraffic(t.Context(), hello); err != nil || now.Spec.String() != "@latest=100 hello-v1(blue)=0" {
		t.Fatalf("after the dry run: %v, %v", now, err)
	}
	request.DryRun = false
	if out, err = a.Split(t.Context(), request); err != nil || !out.Changed || !out.Routes() || out.Spec.String() != "hello-v1(blue)=50 hello-v2=50" {
		t.Fatalf("%+v, %v, %v", out, err, seen.Lines())
	}
	if out, err = a.Split(t.Context(), request); err != nil || out.Changed {
		t.Errorf("again: %+v, %v", out, err)
	}
	if out, err = a.Split(t.Context(), SplitRequest{Target: hello, Want: traffic.Request{Untag: []string{"blue"}}, NoWait: true}); err != nil || !out.Changed || out.Spec.String() != "hello-v1=50 hello-v2=50" {
		t.Errorf("untagged: %+v, %v", out, err)
	}
	if _, err := a.Split(t.Context(), SplitRequest{Target: hello, Want: traffic.Request{Edit: half}, IfGeneration: 1}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("another generation: %v", err)
	}
}

func TestInvoke(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.RequestURI, r.Host, r.Header.Get("Content-Type"), body)
	}))
	defer server.Close()
	a, _ := stubbed(t, server.URL)
	path := func(text string) *url.URL { return &url.URL{Path: text, RawPath: text} }
	for name, tt := range map[string]struct {
		request InvokeRequest
		want    string
	}{
		"the service":  {InvokeRequest{Target: hello}, "GET / hello.demo.example.com  "},
		"a body":       {InvokeRequest{Target: hello, Body: []byte("{}"), Path: path("/a")}, "POST /a hello.demo.example.com application/json {}"},
		"a tag":        {InvokeRequest{Target: hello, Tag: "blue"}, "GET / blue-hello.demo.example.com  "},
		"a revision":   {InvokeRequest{Target: hello, Revision: "v2"}, "GET / hello.demo.example.com  "},
		"another host": {InvokeRequest{Target: hello, Header: http.Header{"Host": {"x"}}, Method: "put"}, "PUT / x  "},
	} {
		got, err := a.Invoke(t.Context(), tt.request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := io.ReadAll(got.Body)
		if got.Body.Close(); err != nil || string(body) != tt.want || got.Fault() != nil || got.Address != server.Listener.Addr().String() {
			t.Errorf("%s: %q, %v, %+v; want %q", name, body, err, got, tt.want)
		}
	}
	missing, err := a.Invoke(t.Context(), InvokeRequest{Target: hello, Path: path("/missing")})
	if err != nil || fault.KindOf(missing.Fault()) != fault.Failure || fault.HintOf(missing.Fault()) == "" {
		t.Errorf("404: %+v, %v", missing, err)
	}
	for name, tt := range map[string]struct {
		request InvokeRequest
		kind    fault.Kind
	}{
		"a revision without a URL of its own": {InvokeRequest{Target: hello, Revision: "v3"}, fault.Conflict},
		"a tag that is not there":             {InvokeRequest{Target: hello, Tag: "green"}, fault.NotFound},
		"nobody listens":                      {InvokeRequest{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}, fault.Transient},
	} {
		if _, err := a.Invoke(t.Context(), tt.request); fault.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad, _ := stubbed(t, "ftp://x")
	if _, err := bad.Invoke(t.Context(), InvokeRequest{Target: hello}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "KN_LITE_INGRESS") {
		t.Errorf("a setting that is no address: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Invoke(ctx, InvokeRequest{URL: &url.URL{Scheme: "http", Host: server.Listener.Addr().String()}}); err == nil {
		t.Error("an answer after the end")
	}
}
