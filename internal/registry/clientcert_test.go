package registry_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// person is a client certificate in two files, and one file with both.
func person(t *testing.T, of *regtest.Authority, name string) (two, one registry.KeyPair) {
	t.Helper()
	cert, key, err := of.Client(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	two = registry.KeyPair{Cert: filepath.Join(dir, "me.crt"), Key: filepath.Join(dir, "me.key")}
	one = registry.KeyPair{Cert: filepath.Join(dir, "both.pem")}
	err = errors.Join(os.WriteFile(two.Cert, cert, 0o600), os.WriteFile(two.Key, key, 0o600), os.WriteFile(one.Cert, append(cert, key...), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return two, one
}

func TestClientCertificates(t *testing.T) {
	authority, err := regtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := regtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := authority.ServeClients("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := regtest.Listen(regtest.New(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	two, one := person(t, authority, "ada")
	theirs, _ := person(t, stranger, "eve")
	for name, tt := range map[string]struct {
		certificates map[string]registry.KeyPair
		says         string // "" is success
	}{
		"by host and port":       {map[string]registry.KeyPair{address: two}, ""},
		"by host, in one file":   {map[string]registry.KeyPair{"127.0.0.1": one}, ""},
		"none":                   {nil, "wants a client certificate"},
		"for another host":       {map[string]registry.KeyPair{"elsewhere.example": two}, "wants a client certificate"},
		"of another authority":   {map[string]registry.KeyPair{address: theirs}, "client certificate"},
		"missing beside another": {map[string]registry.KeyPair{"127.0.0.1:1": two}, "wants a client certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := registry.New(registry.Options{CAFile: ca, Certificates: tt.certificates})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Push(t.Context(), testImage(t, 1, 1000), address+"/team/app:v1")
			if (err == nil) != (tt.says == "") {
				t.Fatalf("got %v, want %q", err, tt.says)
			}
			if err != nil && (fault.KindOf(err) != fault.Auth || !strings.Contains(err.Error(), tt.says) || fault.HintOf(err) == "") {
				t.Errorf("got %v (%v), hint %q", err, fault.KindOf(err), fault.HintOf(err))
			}
		})
	}
}

// TestClientCertificateStaysWithItsHost: a redirect to a place that asks for a
// certificate does not get it.
func TestClientCertificateStaysWithItsHost(t *testing.T) {
	authority, err := regtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	asks, err := authority.Serve(time.Time{}, "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	asks.ClientAuth = tls.RequestClientCert
	image := testImage(t, 1, 1000)
	storage := regtest.New()
	shown := 0
	elsewhere, stop, err := regtest.Listen(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown += len(r.TLS.PeerCertificates)
		storage.ServeHTTP(w, r)
	}), asks)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(elsewhere, ":")
	server := regtest.New(regtest.Fault{On: regtest.GetBlob, Nth: 2, Do: regtest.Redirect("https://127.0.0.1:" + port + "/v2/" + repo + "/blobs/" + digest.String())})
	for _, s := range []*regtest.Server{server, storage} {
		if err := s.Seed(repo, "v1", image); err != nil {
			t.Fatal(err)
		}
	}
	wants, err := authority.ServeClients("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := regtest.Listen(server, wants)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	pair, _ := person(t, authority, "ada")
	client, err := registry.New(registry.Options{CAFile: ca, Certificates: map[string]registry.KeyPair{address: pair}, Insecure: []string{"127.0.0.1:" + port}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got, err := client.Pull(t.Context(), address+"/"+repo+":v1", linux)
	if err == nil {
		err = readAll(got)
	}
	if err != nil {
		t.Fatal(err)
	}
	server.Verify(t)
	if storage.Count(regtest.GetBlob) != 1 || shown != 0 {
		t.Errorf("the storage had %d requests and saw %d certificates", storage.Count(regtest.GetBlob), shown)
	}
}

func TestClientCertificateMistakes(t *testing.T) {
	authority, err := regtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, _ := person(t, authority, "ada")
	other, _ := person(t, authority, "bob")
	for says, wrong := range map[string]registry.KeyPair{
		"no such file":          {Cert: pair.Cert, Key: pair.Key + ".missing"},
		"no client certificate": {Cert: pair.Cert},
		"key":                   {Cert: pair.Cert, Key: other.Key},
	} {
		if _, err := registry.New(registry.Options{Certificates: map[string]registry.KeyPair{"a.example": wrong}}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: got %v", wrong, err)
		}
	}
	for text, want := range map[string]registry.KeyPair{
		"reg.example=a.crt,a.key": {Cert: "a.crt", Key: "a.key"}, "reg.example:5000=a=b.pem": {Cert: "a=b.pem"},
	} {
		host, got, err := registry.ParseKeyPair(text)
		if err != nil || got != want || !strings.HasPrefix(host, "reg.example") {
			t.Errorf("%q: %s %v, %v", text, host, got, err)
		}
	}
	for _, text := range []string{"", "a.crt,a.key", "reg.example=", "=a.crt", "reg.example/team=a.crt"} {
		if _, _, err := registry.ParseKeyPair(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}
