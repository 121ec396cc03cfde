//go:build unix

package local

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func place(t *testing.T) Place {
	t.Helper()
	p := Place{filepath.Join(t.TempDir(), "state", "local")}
	if err := p.Make(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOnePlatformInAPlace(t *testing.T) {
	p := place(t)
	if info, err := p.Running(); err != nil || info != nil {
		t.Fatalf("before any: %v, %v", info, err)
	}
	held, err := p.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.lock(t.Context()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("the second: %v", err)
	}
	if info, err := p.Running(); err != nil || info != nil {
		t.Errorf("while it starts: %v, %v", info, err)
	}
	if err := p.publish(&Info{PID: 1, Address: "127.0.0.1:7080"}); err != nil {
		t.Fatal(err)
	}
	if info, err := p.Running(); err != nil || info == nil || info.Registry() != "127.0.0.1:7080" {
		t.Errorf("while it runs: %v, %v", info, err)
	}
	if stat, err := os.Stat(filepath.Join(p.Dir, "platform.json")); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("a token that others can read: %v, %v", stat.Mode(), err)
	}
	// It was killed: what it has published means nothing any more.
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := p.Running(); err != nil || info != nil {
		t.Errorf("after it was killed: %v, %v", info, err)
	}
	if err := Purge(t.Context(), Options{Place: p, CacheDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a purge: %v", err)
	}
}

func TestCredentialsStayUntilTheyEnd(t *testing.T) {
	p := place(t)
	now := time.Now()
	first, err := p.openCredentials(now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.openCredentials(now.Add(time.Hour))
	if err != nil || again.Token != first.Token || !bytes.Equal(again.Certificate, first.Certificate) {
		t.Errorf("an hour later they differ: %v", err)
	}
	late, err := p.openCredentials(now.Add(certificateLife))
	if err != nil || late.Token != first.Token || bytes.Equal(late.Certificate, first.Certificate) {
		t.Errorf("a certificate that has ended is not made anew: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(first.Certificate) {
		t.Fatal("no certificate")
	}
	pair, err := first.pair()
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := os.WriteFile(filepath.Join(p.Dir, "credentials"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if healed, err := p.openCredentials(now); err != nil || healed.Token == "" {
		t.Errorf("a broken file: %v", err)
	}
}
