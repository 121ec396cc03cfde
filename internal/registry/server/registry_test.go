package server

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// openAt serves the folder and returns a client that knows its password.
func openAt(t *testing.T, dir string) (*Registry, string, *registry.Client) {
	t.Helper()
	reg, err := Open(t.Context(), dir, "secret")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(reg)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	client, err := registry.New(registry.Options{Auths: [][]byte{ClientConfig(host, "secret")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return reg, host, client
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestRegistryOutlastsItsProcess(t *testing.T) {
	dir := t.TempDir()
	_, host, client := openAt(t, dir)
	image := randomImage(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	ref, err := client.Push(t.Context(), index, host+"/team/hello:v1")
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(ref, "@")

	_, again, client := openAt(t, dir)
	for _, name := range []string{again + "/team/hello:v1", again + "/team/hello@" + digest} {
		got, err := client.Pull(t.Context(), name, v1.Platform{OS: "linux", Architecture: "amd64"})
		if err != nil {
			t.Fatalf("%s after opening again: %v", name, err)
		}
		if layers, err := got.Layers(); err != nil || len(layers) != 2 {
			t.Errorf("%d layers, %v", len(layers), err)
		}
	}
}

func TestRegistryHealsWhatIsBroken(t *testing.T) {
	dir := t.TempDir()
	_, host, client := openAt(t, dir)
	if _, err := client.Push(t.Context(), randomImage(t), host+"/hello:v1"); err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Glob(filepath.Join(dir, "manifests", "*"))
	if err != nil || len(manifests) != 1 {
		t.Fatalf("%v, %v", manifests, err)
	}
	if err := os.WriteFile(manifests[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, host, client = openAt(t, dir)
	if _, err := client.Digest(t.Context(), host+"/hello:v1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a broken manifest: %v", err)
	}
	if _, err := client.Push(t.Context(), randomImage(t), host+"/hello:v1"); err != nil {
		t.Errorf("pushed again: %v", err)
	}
}

func TestRegistryAsksForThePassword(t *testing.T) {
	reg, err := Open(t.Context(), t.TempDir(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, host, user, password, origin string
		status                             int
	}{
		{"none", "localhost:7080", "", "", "", http.StatusUnauthorized},
		{"a wrong one", "127.0.0.1:7080", "kn-lite", "guess", "", http.StatusUnauthorized},
		{"the right one", "localhost:7080", "kn-lite", "secret", "", http.StatusOK},
		{"a name that stands for this machine", "evil.example:7080", "kn-lite", "secret", "", http.StatusMisdirectedRequest},
		{"a page of another origin", "localhost:7080", "kn-lite", "secret", "http://evil.example", http.StatusForbidden},
	} {
		request := httptest.NewRequest(http.MethodGet, "/v2/", nil)
		request.Host = c.host
		if c.user != "" {
			request.SetBasicAuth(c.user, c.password)
		}
		if c.origin != "" {
			request.Header.Set("Origin", c.origin)
		}
		answer := httptest.NewRecorder()
		reg.ServeHTTP(answer, request)
		if answer.Code != c.status {
			t.Errorf("%s: status %d, want %d", c.name, answer.Code, c.status)
		}
	}
}

func TestRegistryCollects(t *testing.T) {
	dir := t.TempDir()
	reg, host, client := openAt(t, dir)
	images := map[string]v1.Image{"used": randomImage(t), "unused": randomImage(t)}
	for name, image := range images {
		if _, err := client.Push(t.Context(), image, host+"/"+name+":v1"); err != nil {
			t.Fatal(err)
		}
	}
	used, err := images["used"].Digest()
	if err != nil {
		t.Fatal(err)
	}
	isUsed := func(digest string) bool { return digest == used.String() }
	count := func() int {
		blobs, err := filepath.Glob(filepath.Join(dir, "sha256", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(blobs)
	}
	before := count()
	if err := reg.Collect(t.Context(), time.Hour, isUsed); err != nil || count() != before {
		t.Fatalf("what is young was collected: %d of %d blobs left, %v", count(), before, err)
	}
	if err := reg.Collect(t.Context(), -time.Minute, isUsed); err != nil || count() != before/2 {
		t.Errorf("%d of %d blobs left, want half: %v", count(), before, err)
	}
	if _, err := client.Pull(t.Context(), host+"/used:v1", v1.Platform{}); err != nil {
		t.Errorf("the image in use: %v", err)
	}
	if _, err := client.Digest(t.Context(), host+"/unused:v1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the unused one: %v", err)
	}
}

// With an image that is deleted by its digest its tags go, also for the next process;
// another one in the same repository stays.
func TestRegistryDeletesTags(t *testing.T) {
	dir := t.TempDir()
	_, host, client := openAt(t, dir)
	image := randomImage(t)
	for _, tag := range []string{"v1", "latest"} {
		if _, err := client.Push(t.Context(), image, host+"/team/hello:"+tag); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Push(t.Context(), randomImage(t), host+"/team/hello:v2"); err != nil {
		t.Fatal(err)
	}
	ref, err := client.Digest(t.Context(), host+"/team/hello:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(ref, "@")
	check := func(host string, client *registry.Client) {
		t.Helper()
		for name, want := range map[string]bool{":v1": false, ":latest": false, "@" + digest: false, ":v2": true} {
			if _, err := client.Head(t.Context(), host+"/team/hello"+name); (err == nil) != want {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	check(host, client)
	_, host, client = openAt(t, dir)
	check(host, client)
}
