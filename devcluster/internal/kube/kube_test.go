package kube

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const manifests = `# a comment only
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: activator, namespace: knative-serving}
---
apiVersion: v1
kind: Namespace
metadata: {name: knative-serving}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
`

func TestStagesKeepsWhatOthersNeedFirst(t *testing.T) {
	objects, err := Decode([]byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, stage := range Stages(objects) {
		var names []string
		for _, o := range stage {
			names = append(names, o.GetName())
		}
		got = append(got, names)
	}
	want := [][]string{{"knative-serving"}, {"settings"}, {"activator"}, {"hook"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func kindsFrom(t *testing.T, text string) Kinds {
	t.Helper()
	var d discovery
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	k := Kinds{}
	k.add(d)
	return k
}

const served = `{"items":[
 {"metadata":{},"versions":[{"version":"v1","resources":[
   {"resource":"configmaps","scope":"Namespaced","responseKind":{"kind":"ConfigMap"}},
   {"resource":"namespaces","scope":"Cluster","responseKind":{"kind":"Namespace"}}]}]},
 {"metadata":{"name":"apps"},"versions":[{"version":"v1","resources":[
   {"resource":"deployments","scope":"Namespaced","responseKind":{"kind":"Deployment"}}]}]}]}`

func TestPath(t *testing.T) {
	kinds := kindsFrom(t, served)
	objects, err := Decode([]byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"activator":       "/apis/apps/v1/namespaces/knative-serving/deployments/activator",
		"knative-serving": "/api/v1/namespaces/knative-serving",
		"settings":        "/api/v1/namespaces/default/configmaps/settings",
		"hook":            "",
	}
	for i := range objects {
		got, err := kinds.Path(&objects[i])
		if got != want[objects[i].GetName()] || (err != nil) != (got == "") {
			t.Errorf("%s: %q, %v", objects[i].GetName(), got, err)
		}
	}
}

func TestApplyTriesAgainWhatMayPassAndNothingElse(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method != http.MethodPatch || r.URL.Query().Get("fieldManager") == "" || r.Header.Get("Content-Type") != "application/apply-patch+yaml":
			t.Errorf("%s %s (%s)", r.Method, r.URL, r.Header.Get("Content-Type"))
		case strings.Contains(string(body), "invalid"):
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"kind":"Status","message":"spec is wrong","code":422}`)
		case n < 3:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"kind":"Status","message":"failed calling webhook","code":500}`)
		}
	}))
	defer server.Close()
	c := &Client{http: server.Client(), base: server.URL}
	kinds := kindsFrom(t, served)
	object := func(name string) []unstructured.Unstructured {
		o, err := Decode([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if err := c.Apply(t.Context(), kinds, object("late")); err != nil || asked.Load() != 3 {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}
	asked.Store(0)
	err := c.Apply(t.Context(), kinds, object("invalid"))
	if Code(err) != http.StatusUnprocessableEntity || asked.Load() != 1 || !strings.Contains(err.Error(), "spec is wrong") {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}

	asked.Store(-1 << 30)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Apply(ctx, kinds, object("never")); err == nil {
		t.Error("an object that is always refused was applied")
	}
}

func TestCondition(t *testing.T) {
	objects, err := Decode([]byte("kind: X\nstatus: {conditions: [{type: A, status: 'False'}, {type: B, status: 'True'}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"A": "False", "B": "True", "C": ""} {
		if got := Condition(&objects[0], kind); got != want {
			t.Errorf("condition %s = %q, want %q", kind, got, want)
		}
	}
}
