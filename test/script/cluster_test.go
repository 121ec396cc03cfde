package script

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/test/kubestub"
)

// clusterCommands are the script commands about a stand-in for a cluster.
func clusterCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"cluster": startCluster,
	}
}

// startCluster starts a stand-in for an API server with the objects of a YAML
// file, points KUBECONFIG at it, and starts an ingress on loopback whose
// host:port goes to $INGRESS. It answers with the request it got; the path
// /status/N makes it answer with the status N.
//
//	cluster objects.yaml
//	cluster hello                                 (clusters/hello.yaml, shared by many scripts)
//	cluster -no-knative hello
//	cluster -forbid services,revisions hello
func startCluster(ts *testscript.TestScript, neg bool, args []string) {
	var noKnative bool
	var forbid []string
	for len(args) > 1 {
		switch args[0] {
		case "-no-knative":
			noKnative, args = true, args[1:]
		case "-forbid":
			forbid, args = strings.Split(args[1], ","), args[2:]
		default:
			ts.Fatalf("cluster: unknown flag %s", args[0])
		}
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: cluster [-no-knative] [-forbid RESOURCE,...] FILE")
	}
	var manifests string
	if strings.HasSuffix(args[0], ".yaml") {
		manifests = ts.ReadFile(args[0])
	} else {
		// The script's own folder is elsewhere; this test runs beside clusters.
		raw, err := os.ReadFile(filepath.Join("clusters", args[0]+".yaml"))
		ts.Check(err)
		manifests = string(raw)
	}
	stub, err := kubestub.New(manifests)
	ts.Check(err)
	stub.NoKnative, stub.Forbid = noKnative, forbid
	kubeconfig, stop := stub.Serve()
	ts.Defer(stop)
	file := filepath.Join(ts.Getenv("WORK"), ".kubeconfig")
	ts.Check(os.WriteFile(file, kubeconfig, 0o600))
	ts.Setenv("KUBECONFIG", file)

	ingress := httptest.NewServer(http.HandlerFunc(echo))
	ts.Defer(ingress.Close)
	ts.Setenv("INGRESS", strings.TrimPrefix(ingress.URL, "http://"))
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var status int
	if _, err := fmt.Sscanf(r.URL.Path, "/status/%d", &status); err == nil {
		w.WriteHeader(status)
	}
	fmt.Fprintf(w, "%s %s host=%s type=%s trace=%s body=%s\n", r.Method, r.RequestURI, r.Host, r.Header.Get("Content-Type"), r.Header.Get("X-Trace"), body)
}
