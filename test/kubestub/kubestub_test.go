package kubestub

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/clustertest"
)

// start serves objects and returns a kubeconfig of it.
func start(t *testing.T, manifests string) (*Server, string) {
	t.Helper()
	s, err := New(manifests)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, stop := s.Serve()
	t.Cleanup(stop)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, file
}

// TestConforms: all that a client needs of the API, though nothing runs behind it.
func TestConforms(t *testing.T) {
	clustertest.Run(t, append(clustertest.Client(), clustertest.Expiry), func(t *testing.T) *clustertest.Target {
		s, file := start(t, "")
		target := clustertest.Open(t, file, "ns")
		target.Expired = func(t *testing.T) string { return expire(t, s) }
		return target
	})
}

// expire makes more changes than the store remembers.
func expire(t *testing.T, s *Server) string {
	t.Helper()
	before := fmt.Sprint(s.store.Version())
	for i := range 20_000 {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"i": fmt.Sprint(i)}}}
		write := s.store.Update
		if i == 0 {
			write = s.store.Create
		}
		if _, err := write(namespace); err != nil {
			t.Fatal(err)
		}
	}
	return before
}
