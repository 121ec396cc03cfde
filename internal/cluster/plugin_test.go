package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// A credential plugin that is missing, fails or hangs is named, and does not hold
// the command longer than its deadline.
func TestCredentialPlugins(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"kind":"ServiceList","apiVersion":"serving.knative.dev/v1","items":[]}`)
	}))
	defer server.Close()
	for _, tt := range []struct{ name, script, says string }{
		{"works", `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"good"}}'`, ""},
		{"missing", "", "no such file"},
		{"fails", "exit 7", "failed"},
		{"answers nonsense", "echo nonsense", "failed"},
		{"hangs", "exec sleep 3", "has not answered in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			plugin := filepath.Join(dir, "login-plugin")
			if tt.script != "" {
				if err := os.WriteFile(plugin, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join(dir, "kubeconfig")
			text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"work","clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],
				"contexts":[{"name":"work","context":{"cluster":"c","user":"u","namespace":"demo"}}],
				"users":[{"name":"u","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":%q,"interactiveMode":"Never"}}}]}`, server.URL, plugin)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			client, err := New(Options{Kubeconfig: file, Env: func(string) string { return "" }})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err = client.ListServices(ctx, false)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if tt.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if fault.KindOf(err) != fault.Auth || !strings.Contains(err.Error(), "login-plugin") || !strings.Contains(err.Error(), tt.says) || fault.HintOf(err) == "" {
				t.Errorf("%v (%v)", err, fault.KindOf(err))
			}
		})
	}
}
