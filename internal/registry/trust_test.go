package registry_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// TestPlainHTTPOnlyWhereAllowed: loopback and hosts named insecure, no others;
// and never because TLS failed.
func TestPlainHTTPOnlyWhereAllowed(t *testing.T) {
	for address, allowed := range map[string]bool{
		"localhost:5000": true, "127.0.0.1:5000": true, "[::1]:5000": true, "named:5000": true, "named-port:5000": true,
		"named-port:5001": false, "other:5000": false, "10.0.0.1:5000": false, "registry.local:5000": false,
	} {
		opts := registry.Options{Insecure: []string{"named", "named-port:5000"}}
		bubble(t, opts, nil, func(t *testing.T, l *lab) {
			l.net.Add(address, l.server, nil)
			_, err := l.client.Push(t.Context(), testImage(t, 1, 10), address+"/xy")
			if allowed != (err == nil) {
				t.Errorf("%s: allowed %v, got %v", address, allowed, err)
			}
			if !allowed && (!strings.Contains(fault.HintOf(err), "{Insecure} "+address) || len(l.server.Log()) > 0) {
				t.Errorf("%s: hint %q, requests in the clear %v", address, fault.HintOf(err), l.server.Log())
			}
		})
	}
}

func TestCertificates(t *testing.T) {
	authority, err := regtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM)
	tests := []struct {
		name     string
		until    time.Time
		hosts    []string
		trusted  bool
		contains string // of the error; "" is success
	}{
		{"good", time.Time{}, []string{"reg"}, true, ""},
		{"unknown authority", time.Time{}, []string{"reg"}, false, "signed by an unknown authority"},
		{"expired", time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), []string{"reg"}, true, "valid from 1970-01-01 to 1999-12-31 only"},
		{"another name", time.Time{}, []string{"gitlab"}, true, "for another name than reg:443"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			server := regtest.New()
			config, err := authority.Serve(tt.until, tt.hosts...)
			if err != nil {
				t.Fatal(err)
			}
			net := regtest.NewNetwork()
			net.Add("reg:443", server, config)
			clientConfig := &tls.Config{RootCAs: x509.NewCertPool()}
			if tt.trusted {
				clientConfig.RootCAs = roots
			}
			transport := net.Transport(clientConfig)
			defer func() {
				transport.CloseIdleConnections()
				net.Close()
				synctest.Wait()
			}()
			// Naming the host insecure must not get anybody past a certificate.
			client, err := registry.New(registry.Options{Transport: transport, Insecure: []string{"reg:443"}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Push(t.Context(), testImage(t, 1, 10), "reg:443/xy")
			if tt.contains == "" && err != nil || tt.contains != "" && (err == nil || !strings.Contains(err.Error(), tt.contains)) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.contains)
			}
			if err != nil && (fault.KindOf(err) != fault.Failure || fault.HintOf(err) == "") {
				t.Errorf("%s: kind %v, hint %q", tt.name, fault.KindOf(err), fault.HintOf(err))
			}
		})
	}
}

// TestRedirectsGetNoCredentials: a registry that stores blobs elsewhere must
// not hand out our token there.
func TestRedirectsGetNoCredentials(t *testing.T) {
	image := testImage(t, 1, 1000)
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	storage := regtest.New()
	var carried []string
	opts := registry.Options{Env: credentials(t, "u", "p"), Insecure: []string{"localhost:6000"}}
	bubble(t, opts, func(s *regtest.Server) {
		s.Auth, s.User, s.Password = "basic", "u", "p"
		for _, where := range []*regtest.Server{s, storage} {
			if err := where.Seed(repo, "v1", image); err != nil {
				t.Fatal(err)
			}
		}
	}, func(t *testing.T, l *lab) {
		l.net.Add("localhost:6000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			carried = append(carried, r.Header.Get("Authorization"))
			storage.ServeHTTP(w, r)
		}), nil)
		got, err := l.client.Pull(t.Context(), tag, linux)
		if err != nil {
			t.Fatal(err)
		}
		if err := readAll(got); err != nil {
			t.Fatal(err)
		}
	}, regtest.Fault{On: regtest.GetBlob, Nth: 2, Do: regtest.Redirect("http://localhost:6000/v2/" + repo + "/blobs/" + digest.String() + "?sig=secret")})
	if diff := cmp.Diff([]string{""}, carried); diff != "" {
		t.Errorf("Authorization headers at the storage: %s", diff)
	}
}

func TestCAFileErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, empty + ".missing"} {
		if _, err := registry.New(registry.Options{CAFile: file}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", file, err)
		}
	}
}
