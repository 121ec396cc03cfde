package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// kubeconfig is a file with a context for each name; the first is current.
func kubeconfig(t *testing.T, dir, file string, current string, contexts ...string) string {
	t.Helper()
	text := "apiVersion: v1\nkind: Config\ncurrent-context: " + current + "\n"
	var clusters, users, all strings.Builder
	for _, c := range contexts {
		clusters.WriteString("- {name: " + c + ", cluster: {server: 'https://" + c + ".example'}}\n")
		users.WriteString("- {name: " + c + ", user: {token: t}}\n")
		all.WriteString("- {name: " + c + ", context: {cluster: " + c + ", user: " + c + ", namespace: ns-of-" + c + "}}\n")
	}
	text += "clusters:\n" + clusters.String() + "users:\n" + users.String() + "contexts:\n" + all.String()
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	one := kubeconfig(t, dir, "one", "a", "a", "b")
	two := kubeconfig(t, dir, "two", "c", "c")
	home := filepath.Join(dir, "home")
	kubeconfig(t, home, ".kube/config", "h", "h")
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("clusters: {not: [a list\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := func(files ...string) string { return strings.Join(files, string(filepath.ListSeparator)) }
	tests := []struct {
		name      string
		env       map[string]string
		o         Options
		server    string
		namespace string
		kind      fault.Kind // with says: an error
		says      string
	}{
		{"home", map[string]string{"HOME": home}, Options{}, "https://h.example", "ns-of-h", 0, ""},
		{"KUBECONFIG before home", map[string]string{"HOME": home, "KUBECONFIG": two}, Options{}, "https://c.example", "ns-of-c", 0, ""},
		{"the first current context of a list", map[string]string{"KUBECONFIG": list(one, two)}, Options{}, "https://a.example", "ns-of-a", 0, ""},
		{"a context of a later file", map[string]string{"KUBECONFIG": list(one, two)}, Options{Context: "c"}, "https://c.example", "ns-of-c", 0, ""},
		{"missing files of a list are skipped", map[string]string{"KUBECONFIG": list(filepath.Join(dir, "none"), two)}, Options{}, "https://c.example", "ns-of-c", 0, ""},
		{"the flag before all", map[string]string{"HOME": home, "KUBECONFIG": two}, Options{Kubeconfig: one}, "https://a.example", "ns-of-a", 0, ""},
		{"a namespace that was decided", map[string]string{"KUBECONFIG": one}, Options{Namespace: "mine"}, "https://a.example", "mine", 0, ""},
		{"nothing anywhere", map[string]string{"HOME": dir}, Options{}, "", "", fault.NotFound, "no kubeconfig found"},
		{"no such file", map[string]string{}, Options{Kubeconfig: filepath.Join(dir, "none")}, "", "", fault.NotFound, "no such kubeconfig file"},
		{"not YAML", map[string]string{"KUBECONFIG": broken}, Options{}, "", "", fault.Usage, "broken"},
		{"unknown context", map[string]string{"KUBECONFIG": one}, Options{Context: "aa"}, "", "", fault.Usage, "there are: a, b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.o.Env = func(name string) string { return tt.env[name] }
			c, err := New(tt.o)
			if tt.says != "" {
				check(t, err, tt.kind, []string{tt.says})
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Server() != tt.server || c.Namespace() != tt.namespace {
				t.Errorf("server %s, namespace %s", c.Server(), c.Namespace())
			}
		})
	}
}
