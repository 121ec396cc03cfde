package cluster_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/kn-lite/kn-lite/internal/cluster"
)

func TestContextComesAndGoes(t *testing.T) {
	const others = `apiVersion: v1
kind: Config
current-context: prod
clusters: [{name: prod, cluster: {server: "https://prod.example"}}]
contexts: [{name: prod, context: {cluster: prod, user: me}}]
users: [{name: me, user: {token: mine}}]
`
	access := cluster.Access{Name: "kn-lite-local", Server: "https://127.0.0.1:7443", CA: []byte("pem"), Token: "secret", Namespace: "default"}
	for _, c := range []struct{ name, before, previous string }{
		{"beside others", others, "prod"},
		{"in no file", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kube", "config")
			if c.before != "" {
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(c.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			o := cluster.Options{Env: func(name string) string {
				return map[string]string{"KUBECONFIG": file + string(filepath.ListSeparator) + file + ".2"}[name]
			}}
			for range 2 { // the second time it is there already
				written, previous, err := cluster.AddContext(o, access)
				if err != nil || written != file || previous != c.previous && previous != access.Name {
					t.Fatalf("%s, %q, %v", written, previous, err)
				}
			}
			config, err := clientcmd.LoadFromFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if config.CurrentContext != access.Name || config.Clusters[access.Name].Server != access.Server || config.AuthInfos[access.Name].Token != "secret" {
				t.Errorf("written: %+v", config)
			}
			if err := cluster.RemoveContext(o, access.Name, c.previous); err != nil {
				t.Fatal(err)
			}
			if config, err = clientcmd.LoadFromFile(file); err != nil {
				t.Fatal(err)
			}
			if config.CurrentContext != c.previous || config.Contexts[access.Name] != nil || strings.Contains(c.before, "prod") != (config.Contexts["prod"] != nil) {
				t.Errorf("after the removal: %+v", config)
			}
		})
	}
}
