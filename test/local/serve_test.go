// Package local_test holds the embedded platform to what clients of a cluster
// expect: kn-lite's own client, kubectl and kn.
package local_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// serve starts an API server over a store in memory, with TLS, and returns the
// store and a kubeconfig. No controller runs behind it.
func serve(t *testing.T) (objects *store.Store, kubeconfig string) {
	t.Helper()
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	const token = "a-token"
	handler := api.New(api.Options{Store: s, Token: token, Version: "1.0.0", Report: func(m string) { t.Log(m) }})
	server := httptest.NewTLSServer(handler)
	go func() { _ = handler.Run(t.Context()) }()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	raw, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "local",
		"clusters": []any{map[string]any{"name": "local", "cluster": map[string]any{
			"server":                     server.URL,
			"certificate-authority-data": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		}}},
		"users":    []any{map[string]any{"name": "local", "user": map[string]any{"token": token}}},
		"contexts": []any{map[string]any{"name": "local", "context": map[string]any{"cluster": "local", "user": "local", "namespace": "default"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, file
}

// rewrite is a copy of a file with other words in it.
func rewrite(t *testing.T, file, old, replacement string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		t.Fatalf("no %s in %s", old, raw)
	}
	out := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(out, []byte(strings.ReplaceAll(string(raw), old, replacement)), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}
