package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Whatever is sent, the answer is one of the API's, and never that the server failed.
func FuzzRequest(f *testing.F) {
	const one = "/apis/serving.knative.dev/v1/namespaces/default/services/hello"
	for _, seed := range [][4]string{
		{"GET", "/apis/serving.knative.dev/v1/services", "", "application/json;as=Table;v=v1;g=meta.k8s.io"},
		{"GET", one + "/status", "", "application/yaml"},
		{"GET", "/api/v1/configmaps?watch=true&resourceVersion=1&labelSelector=a%3Db&timeoutSeconds=1", "", ""},
		{"GET", "/api/v1/namespaces/default/pods/a/log?tailLines=1&sinceTime=x", "", ""},
		{"GET", "/api/v1/secrets?limit=1&continue=eyJydiI6IjEifQ&fieldSelector=type%3Da", "", ""},
		{"POST", services, ksvc("hello"), "application/json"},
		{"POST", services + "?dryRun=All&fieldValidation=Strict", ksvc("x", `,"generateName":"y"`), "application/json"},
		{"POST", "/api/v1/namespaces/default/secrets", "k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Secret", "application/vnd.kubernetes.protobuf"},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", `{"spec":{}}`, "application/json"},
		{"PUT", one, ksvc("hello", `,"resourceVersion":"3"`), "application/yaml"},
		{"PATCH", one, `{"metadata":{"labels":{"a":null}},"spec":{"traffic":[]}}`, "application/merge-patch+json"},
		{"PATCH", one, `[{"op":"move","from":"/spec/template","path":"/metadata/x"}]`, "application/json-patch+json"},
		{"PATCH", one + "?fieldManager=a&force=true", "apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {template: {spec: {containers: [{image: a}]}}}", "application/apply-patch+yaml"},
		{"PATCH", "/api/v1/namespaces/default/services/web", `{"spec":{"ports":[{"port":1,"$patch":"delete"}],"$setElementOrder/ports":[]}}`, "application/strategic-merge-patch+json"},
		{"PATCH", "/api/v1/namespaces/default/services/web?fieldManager=b", `{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":1},{"port":1}]}}`, "application/apply-patch+yaml"},
		{"DELETE", one + "?propagationPolicy=Foreground&gracePeriodSeconds=-1", `{"preconditions":{"uid":"a"}}`, "application/json"},
		{"DELETE", services + "?labelSelector=a", "", ""},
		{"PUT", "/api/v1/namespaces/default/finalize", `{"metadata":{"name":"default"}}`, "application/json"},
		{"GET", "/openapi/v3/apis/apps/v1", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, method, path, body, media string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" || !validMethod(method) {
			t.Skip()
		}
		s, err := store.Open("")
		if err != nil {
			t.Fatal(err)
		}
		handler := api.New(api.Options{Store: s, Token: token, Report: func(m string) { t.Error(m) }})
		send := func(method string, u *url.URL, body, media string) int {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			r := (&http.Request{Method: method, URL: u, Host: "localhost", Header: http.Header{}, Proto: "HTTP/1.1", Body: http.NoBody}).WithContext(ctx)
			r.Body = readCloser{strings.NewReader(body)}
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", media)
			r.Header.Set("Accept", media)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w.Code
		}
		for path, object := range map[string]string{"/api/v1/namespaces": `{"metadata":{"name":"default"}}`, services: ksvc("hello"), "/api/v1/namespaces/default/services": `{"metadata":{"name":"web"},"spec":{"ports":[{"port":1}]}}`} {
			send("POST", &url.URL{Path: path}, object, "application/json")
		}
		if code := send(method, u, body, media); code >= 500 && code != http.StatusServiceUnavailable && code != http.StatusGatewayTimeout {
			t.Errorf("%s %s: %d", method, path, code)
		}
	})
}

func validMethod(method string) bool {
	switch method {
	case "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS":
		return true
	}
	return false
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
