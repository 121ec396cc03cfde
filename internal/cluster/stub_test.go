package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// stub is an API server that answers as told.
func stub(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return clientOf(t, &rest.Config{Host: server.URL})
}

func clientOf(t *testing.T, config *rest.Config) *Client {
	t.Helper()
	c, err := newFor(tuned(target{config: config, context: "test", namespace: "ns"}, Options{UserAgent: "kn-lite/test"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer writes an object as the API server does.
func answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object)
}

// status is the API server's error object.
func status(code int32, reason metav1.StatusReason, message string, details *metav1.StatusDetails) metav1.Status {
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: code, Reason: reason, Message: message, Details: details,
	}
}
