//go:build e2e

package registries

import (
	"context"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// TestLargeLayerBreaks: what breaks before docker-registry has seen it goes on
// in chunks; what breaks on its doorstep leaves a session that it gives up, and
// starts over.
func TestLargeLayerBreaks(t *testing.T) {
	const size = 40 << 20
	l := newLab(t)
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	for name, keeps := range map[string]bool{"before it": false, "at it": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			content[0]++ // another layer each time
			image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
			if err == nil {
				image, err = mutate.AppendLayers(image, static.NewLayer(append([]byte(nil), content...), types.OCILayer))
			}
			if err != nil {
				t.Fatal(err)
			}
			faults := regtest.InFront(l.proxy,
				regtest.Fault{On: regtest.PatchUpload, Do: regtest.ResetAfterReading(20 << 20)},
				regtest.Fault{On: regtest.PatchUpload, Nth: 4, Do: regtest.ResetAfterReading(3 << 20)})
			faults.KeepsParts = keeps
			address, stop, err := regtest.Listen(faults, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			client, err := registry.New(registry.Options{Jobs: 1, Policy: registry.Policy{Base: 5 * time.Millisecond}})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err := client.Push(ctx, image, address+"/large/app:v1"); err != nil {
				t.Fatal(err)
			}
			faults.Verify(t)
			got, err := l.direct.Pull(ctx, l.address+"/large/app:v1", v1.Platform{})
			if err == nil {
				err = readAll(got)
			}
			if err != nil || digest(t, got) != digest(t, image) {
				t.Errorf("what is there now: %v", err)
			}
			t.Logf("2 resets: %d sessions, %d MiB of %d sent again", faults.Count(regtest.PostUpload)-1, (faults.Received()-size)>>20, size>>20)
		})
	}
}
