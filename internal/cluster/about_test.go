package cluster

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestAbout(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		version string
		kind    fault.Kind // of the error; 0 with a version or none
		says    string
	}{
		{"a version", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/version" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			answer(w, http.StatusOK, map[string]string{"gitVersion": "v1.33.1"})
		}, "v1.33.1", 0, ""},
		{"closed to this user", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusForbidden, status(http.StatusForbidden, metav1.StatusReasonForbidden, "no", nil))
		}, "", 0, ""},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "", 0, ""},
		{"not logged in", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "", fault.Auth, "does not accept these credentials"},
		{"starting", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "", fault.Transient, ""},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "", fault.Timeout, "GET /version: no answer from http://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			about, err := stub(t, tt.handler).About(ctx)
			if tt.kind != 0 {
				if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) || fault.HintOf(err) == "" && tt.kind != fault.Timeout {
					t.Errorf("%v, %q", err, fault.HintOf(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if about.Version != tt.version || about.Date.IsZero() || about.Sent.After(about.Received) {
				t.Errorf("%+v", about)
			}
		})
	}
}
