package registry

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func start(t *testing.T, dir string) (*httptest.Server, string) {
	t.Helper()
	h, err := Handler(dir)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv, strings.TrimPrefix(srv.URL, "http://")
}

func tag(t *testing.T, host, path string) name.Tag {
	t.Helper()
	ref, err := name.NewTag(host+"/"+path, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestImagesAndIndexesSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	srv, host := start(t, dir)
	img, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(512, 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag(t, host, "a/b:one"), img); err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag(t, host, "a/c:many"), index); err != nil {
		t.Fatal(err)
	}
	srv.Close()

	_, host = start(t, dir)
	back, err := remote.Image(tag(t, host, "a/b:one"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back); err != nil {
		t.Error(err)
	}
	want, _ := img.Digest()
	if got, _ := back.Digest(); got != want {
		t.Errorf("digest %s after the restart, %s before", got, want)
	}
	backIndex, err := remote.Index(tag(t, host, "a/c:many"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(backIndex); err != nil {
		t.Error(err)
	}
}

func TestMovedAndDeletedTagsStayThatWay(t *testing.T) {
	dir := t.TempDir()
	srv, host := start(t, dir)
	var digests []v1.Hash
	for range 2 {
		img, err := random.Image(256, 1)
		if err != nil {
			t.Fatal(err)
		}
		d, _ := img.Digest()
		digests = append(digests, d)
		if err := remote.Write(tag(t, host, "aa:moves"), img); err != nil {
			t.Fatal(err)
		}
	}
	if err := remote.Tag(tag(t, host, "aa:gone"), must(remote.Image(tag(t, host, "aa:moves")))(t)); err != nil {
		t.Fatal(err)
	}
	if err := remote.Delete(tag(t, host, "aa:gone")); err != nil {
		t.Fatal(err)
	}
	srv.Close()

	_, host = start(t, dir)
	head, err := remote.Head(tag(t, host, "aa:moves"))
	if err != nil || head.Digest != digests[1] {
		t.Errorf("aa:moves is %v, %v; want the second push %s", head, err, digests[1])
	}
	if _, err := remote.Head(tag(t, host, "aa:gone")); err == nil {
		t.Error("a deleted tag is back after a restart")
	}
}

// An index outlives the tag that its child was pushed under, and the child being
// pushed again after it.
func TestIndexKeepsChildrenWhoseTagMovedAway(t *testing.T) {
	dir := t.TempDir()
	srv, host := start(t, dir)
	index, err := random.Index(256, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	child, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	other, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		remote.Write(tag(t, host, "aa:child"), child),
		remote.WriteIndex(tag(t, host, "aa:index"), index),
		remote.Write(tag(t, host, "aa:again"), child),
		remote.Write(tag(t, host, "aa:child"), other),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	srv.Close()

	_, host = start(t, dir)
	back, err := remote.Index(tag(t, host, "aa:index"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(back); err != nil {
		t.Error(err)
	}
}

func must(img v1.Image, err error) func(*testing.T) v1.Image {
	return func(t *testing.T) v1.Image {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
}

func TestRefusedManifestLeavesNoTrace(t *testing.T) {
	dir := t.TempDir()
	srv, _ := start(t, dir)
	manifests := filepath.Join(dir, "manifests")
	// A manifest whose blobs were never pushed.
	index := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:` + strings.Repeat("0", 64) + `"}]}`
	for what, tt := range map[string]struct {
		body []byte
		want int
	}{
		"child missing": {[]byte(index), http.StatusNotFound},
		"too large":     {bytes.Repeat([]byte("x"), maxManifest+1), http.StatusRequestEntityTooLarge},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+"/v2/a/manifests/bad", bytes.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: status %d, want %d", what, resp.StatusCode, tt.want)
		}
	}
	entries, err := os.ReadDir(manifests)
	if err != nil || len(entries) != 0 {
		t.Errorf("journal holds %v (%v) after refused manifests", entries, err)
	}
}

func TestServeStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var group sync.WaitGroup
	var err error
	group.Go(func() { err = Serve(ctx, "127.0.0.1:0", t.TempDir(), w) })
	buf := make([]byte, 256)
	n, readErr := r.Read(buf)
	if readErr != nil || !strings.Contains(string(buf[:n]), "127.0.0.1:") {
		t.Errorf("log %q, %v", buf[:n], readErr)
	}
	cancel()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("still serving")
	}
	if err != nil {
		t.Error(err)
	}
}
