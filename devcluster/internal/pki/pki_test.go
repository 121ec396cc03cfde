package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestIssuedCertificatesVerify(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	server := Subject{
		File: "apiserver", User: "kube-apiserver", Names: []string{"kubernetes.default.svc"},
		Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.1")},
	}
	client := Subject{File: "admin", User: "admin", Groups: []string{"system:masters"}}
	if err := Issue(dir, now, []Subject{server, client}); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("ca.crt holds no certificate")
	}
	for _, tc := range []struct {
		file   string
		usage  x509.ExtKeyUsage
		name   string
		passes bool
	}{
		{"apiserver", x509.ExtKeyUsageServerAuth, "kubernetes.default.svc", true},
		{"apiserver", x509.ExtKeyUsageServerAuth, "10.77.0.1", true},
		{"apiserver", x509.ExtKeyUsageServerAuth, "example.com", false},
		{"admin", x509.ExtKeyUsageClientAuth, "", true},
		{"admin", x509.ExtKeyUsageServerAuth, "", false},
	} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, tc.file+".crt"), filepath.Join(dir, tc.file+".key"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: tc.name, KeyUsages: []x509.ExtKeyUsage{tc.usage}, CurrentTime: now})
		if (err == nil) != tc.passes {
			t.Errorf("%s for %q, usage %v: %v, want passes: %t", tc.file, tc.name, tc.usage, err, tc.passes)
		}
		if tc.file == "admin" && !cmp.Equal(pair.Leaf.Subject.Organization, client.Groups) {
			t.Errorf("groups %v", pair.Leaf.Subject.Organization)
		}
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestIssueKeepsACAThatIsThere(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := Issue(dir, time.Now(), []Subject{{File: "a", User: "a"}}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		first := filepath.Join(t.TempDir(), "first")
		_ = os.WriteFile(first, b, 0o600)
		if err := Issue(dir, time.Now(), nil); err != nil {
			t.Fatal(err)
		}
		again, _ := os.ReadFile(filepath.Join(dir, "ca.crt"))
		if string(again) != string(b) {
			t.Fatal("a second Issue replaced the CA of a cluster that trusts it")
		}
	}
}

func TestKubeconfigCarriesTheSubject(t *testing.T) {
	dir := t.TempDir()
	if err := Issue(dir, time.Now(), []Subject{{File: "admin", User: "admin"}}); err != nil {
		t.Fatal(err)
	}
	text, err := Kubeconfig(dir, "admin", "dev", "https://127.0.77.1:6443")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		CurrentContext string `json:"current-context"`
		Clusters       []struct {
			Cluster struct {
				Server string `json:"server"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Key string `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	key, _ := os.ReadFile(filepath.Join(dir, "admin.key"))
	decoded, err := base64.StdEncoding.DecodeString(got.Users[0].User.Key)
	if err != nil || string(decoded) != string(key) || got.CurrentContext != "dev" || got.Clusters[0].Cluster.Server != "https://127.0.77.1:6443" {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := Kubeconfig(dir, "nobody", "dev", ""); err == nil {
		t.Error("a kubeconfig for a subject without files")
	}
}
