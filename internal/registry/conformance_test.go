package registry_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// TestConformance runs one suite against our own registry and against
// distribution's, so that the first cannot drift from what real ones do.
func TestConformance(t *testing.T) {
	t.Run("regtest", func(t *testing.T) {
		server := regtest.New()
		address, stop, err := regtest.Listen(server, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		conformance(t, address)
	})
	t.Run("docker-registry", func(t *testing.T) {
		conformance(t, startDockerRegistry(t))
	})
}

func conformance(t *testing.T, address string) {
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	push := func(artifact registry.Artifact, name string) {
		t.Helper()
		ref, err := client.Push(ctx, artifact, address+"/"+name)
		if err != nil {
			t.Fatalf("push %s: %v", name, err)
		}
		if got, err := client.Digest(ctx, address+"/"+name); err != nil || got != ref {
			t.Errorf("%s is %s, %v; want %s", name, got, err, ref)
		}
	}
	pull := func(name string, platform v1.Platform, want registry.Artifact) v1.Image {
		t.Helper()
		got, err := client.Pull(ctx, address+"/"+name, platform)
		if err != nil {
			t.Fatalf("pull %s: %v", name, err)
		}
		if err := readAll(got); err != nil {
			t.Errorf("layers of %s: %v", name, err)
		}
		if digestOf(t, got) != digestOf(t, want) {
			t.Errorf("%s is %s, want %s", name, digestOf(t, got), digestOf(t, want))
		}
		return got
	}
	first, second := testImage(t, 1, 300_000, 5, 1), testImage(t, 2, 40_000)
	arm := v1.Platform{OS: "linux", Architecture: "arm64"}

	push(first, "team/app:v1")
	pull("team/app:v1", linux, first)
	push(second, "team/app:v1") // the tag moves
	pull("team/app:v1", linux, second)
	pull("team/app@"+digestOf(t, first), linux, first) // and the old digest stays

	base := pull("team/app:v1", linux, second)
	derived, err := mutate.AppendLayers(base, static.NewLayer([]byte("on top"), types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	push(derived, "other/derived:latest") // mounts the base's layer
	pull("other/derived", linux, derived)

	armImage, err := mutate.ConfigFile(first, &v1.ConfigFile{OS: "linux", Architecture: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: second, Descriptor: v1.Descriptor{Platform: &linux}},
		mutate.IndexAddendum{Add: armImage, Descriptor: v1.Descriptor{Platform: &arm}})
	push(index, "team/multi:v1")
	pull("team/multi:v1", linux, second)
	pull("team/multi:v1", arm, armImage)

	for _, missing := range []string{"team/app:nothing", "nobody/nothing:v1", "team/app@" + digestOf(t, derived)} {
		if _, err := client.Pull(ctx, address+"/"+missing, linux); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: got %v (%v), want not-found", missing, err, fault.KindOf(err))
		}
	}
}

// startDockerRegistry runs the docker-registry of the distribution packages,
// or skips: it is a second opinion, not a dependency.
func startDockerRegistry(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed (on Debian: apt-get install docker-registry)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n", filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	cmd.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself, which Wait tells
		_ = cmd.Wait()         // killed on purpose
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + address + "/v2/")
		if err == nil {
			_ = resp.Body.Close()
			return address
		}
	}
	t.Fatal("docker-registry did not start")
	return ""
}
