//go:build e2e

package registries

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
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

// patience is a second's worth of what users wait minutes for.
func patience() registry.Policy {
	return registry.Policy{Base: 5 * time.Millisecond, Max: 20 * time.Millisecond, AfterMax: 50 * time.Millisecond, Stall: 250 * time.Millisecond}
}

// point is one fault on one kind of request, and what it must end in.
type point struct {
	regtest.Fault
	ok   bool
	kind fault.Kind // of the error, unless ok
}

func (p point) String() string {
	if p.Times < 0 {
		return p.Fault.String() + " always"
	}
	return p.Fault.String()
}

func pushPath() []regtest.Request {
	return []regtest.Request{
		regtest.Ping, regtest.HeadTag, regtest.HeadBlob, regtest.PostUpload,
		regtest.PatchUpload, regtest.PutUpload, regtest.PutManifest, regtest.PutTag,
	}
}

// pushPoints is every request of a push against every fault. A transient one is
// cured by another attempt; the in-process table, with a clock of its own, has
// the same and more (internal/registry).
func pushPoints() []point {
	var points []point
	for _, on := range pushPath() {
		once := func(do regtest.Action, ok bool, kind fault.Kind) {
			points = append(points, point{regtest.Fault{On: on, Do: do}, ok, kind})
		}
		for _, do := range []regtest.Action{
			regtest.Status(500), regtest.Status(502), regtest.StatusAfter(503, "1"), regtest.Status(504), regtest.Status(408),
			regtest.StatusAfter(429, "1"), regtest.StatusAfter(429, "soon"), regtest.Reset(), regtest.DropReply(), regtest.Stall(),
			regtest.BigError(20 << 20), regtest.HTML(502),
		} {
			once(do, true, 0)
		}
		for _, do := range []regtest.Action{regtest.Status(503), regtest.Reset()} {
			points = append(points, point{regtest.Fault{On: on, Times: -1, Do: do}, false, fault.Transient})
		}
		once(regtest.Status(403), on == regtest.HeadTag, fault.Auth)
		for _, elsewhere := range []string{"http://169.254.169.254/latest", "http://elsewhere.example/x"} {
			once(regtest.Redirect(elsewhere), false, fault.Failure)
		}
		switch on {
		case regtest.HeadTag, regtest.HeadBlob: // is not there
			once(regtest.Status(404), true, 0)
		case regtest.PatchUpload, regtest.PutUpload: // the session is gone, a new one is not
			once(regtest.Status(404), true, 0)
			once(regtest.Status(416), true, 0)
		default:
			once(regtest.Status(404), false, fault.NotFound)
		}
		switch on {
		case regtest.PatchUpload:
			once(regtest.FlipRequest(), true, 0)
			once(regtest.ResetAfterReading(100), true, 0)
			once(regtest.ResetAfterReading(100_000), true, 0)
		case regtest.PutUpload, regtest.PutManifest, regtest.PutTag:
			once(regtest.WrongDigest(), true, 0)
		}
	}
	return points
}

// pullPoints is the same for a pull by tag.
func pullPoints() []point {
	var points []point
	for _, on := range []regtest.Request{regtest.Ping, regtest.GetTag, regtest.GetManifest, regtest.GetBlob} {
		once := func(do regtest.Action, ok bool, kind fault.Kind) {
			points = append(points, point{regtest.Fault{On: on, Do: do}, ok, kind})
		}
		for _, do := range []regtest.Action{
			regtest.Status(500), regtest.StatusAfter(503, "1"), regtest.StatusAfter(429, "1"), regtest.Reset(), regtest.Stall(), regtest.HTML(502),
		} {
			once(do, true, 0)
		}
		points = append(points, point{regtest.Fault{On: on, Times: -1, Do: regtest.Status(503)}, false, fault.Transient})
		once(regtest.Status(403), false, fault.Auth)
		once(regtest.Status(404), false, fault.NotFound)
		if on != regtest.Ping {
			once(regtest.Truncate(3), true, 0)
			once(regtest.ResetAfterWriting(5), true, 0)
			once(regtest.StallAfterWriting(5), true, 0)
		}
	}
	return append(points,
		point{regtest.Fault{On: regtest.GetBlob, Nth: 3, Do: regtest.ResetAfterWriting(40_000)}, true, 0},
		point{regtest.Fault{On: regtest.GetBlob, Nth: 3, Do: regtest.FlipReply()}, false, fault.Failure},
		point{regtest.Fault{On: regtest.GetManifest, Times: -1, Do: regtest.FlipReply()}, false, fault.Failure})
}

// lab is docker-registry with faults before it.
type lab struct {
	address string // of docker-registry itself
	proxy   http.Handler
	direct  *registry.Client
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{address: startRegistry(t)}
	target := &url.URL{Scheme: "http", Host: l.address}
	l.proxy = &httputil.ReverseProxy{
		// The Host stays what the client asked for, so that upload sessions stay behind the faults.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	var err error
	if l.direct, err = registry.New(registry.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.direct.Close)
	return l
}

// strike makes a client that meets the fault, and calls do with it and the proxy's address.
func (l *lab) strike(t *testing.T, f regtest.Fault, do func(client *registry.Client, address string) error) error {
	t.Helper()
	faults := regtest.InFront(l.proxy, f)
	address, stop, err := regtest.Listen(faults, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	client, err := registry.New(registry.Options{Policy: patience()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = do(client, address)
	faults.Verify(t)
	return err
}

// verdict holds an error against what the point allows.
func (p point) verdict(t *testing.T, err error) {
	t.Helper()
	if p.ok != (err == nil) || err != nil && fault.KindOf(err) != p.kind {
		t.Errorf("got %v (%v), want success %v, kind %v", err, fault.KindOf(err), p.ok, p.kind)
	}
}

// TestPushFaults strikes pushes of an index. The tag names the old image or the
// new one, each with everything that belongs to it, whatever happens.
func TestPushFaults(t *testing.T) {
	l := newLab(t)
	old := index(t, 1)
	points := pushPoints()
	for i, p := range points {
		t.Run(fmt.Sprintf("%03d %s", i, p), func(t *testing.T) {
			t.Parallel() // most of a fault is waiting
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			name := fmt.Sprintf("push/n%d:v1", i)
			if _, err := l.direct.Push(ctx, old, l.address+"/"+name); err != nil {
				t.Fatal(err)
			}
			next := index(t, uint64(100+i))
			var ref string
			err := l.strike(t, p.Fault, func(c *registry.Client, address string) (err error) {
				ref, err = c.Push(ctx, next, address+"/"+name)
				return err
			})
			p.verdict(t, err)
			if err == nil && !strings.HasSuffix(ref, "@"+digest(t, next)) {
				t.Errorf("the push says %s, want %s", ref, digest(t, next))
			}
			now := l.complete(ctx, t, name)
			switch {
			case err == nil && now != digest(t, next):
				t.Errorf("the push succeeded, and the tag names %s", now)
			case now != digest(t, next) && now != digest(t, old):
				t.Errorf("the tag names %s, which nobody pushed", now)
			}
		})
	}
	if len(points) < 100 {
		t.Errorf("%d points, want at least 100", len(points))
	}
	t.Logf("%d fault points", len(points))
}

// complete reads all that a tag refers to, past the faults, and gives its digest.
func (l *lab) complete(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	ref, err := l.direct.Digest(ctx, l.address+"/"+name)
	if err != nil {
		t.Fatalf("the tag is gone: %v", err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := l.direct.Pull(ctx, ref, v1.Platform{OS: "linux", Architecture: arch})
		if err == nil {
			err = readAll(image)
		}
		if err != nil {
			t.Errorf("the tag is half there: %v", err)
		}
	}
	_, got, _ := strings.Cut(ref, "@")
	return got
}

// TestPullFaults strikes pulls of one platform of the index.
func TestPullFaults(t *testing.T) {
	l := newLab(t)
	pushed := index(t, 1)
	if _, err := l.direct.Push(t.Context(), pushed, l.address+"/pull/app:v1"); err != nil {
		t.Fatal(err)
	}
	points := pullPoints()
	for i, p := range points {
		t.Run(fmt.Sprintf("%03d %s", i, p), func(t *testing.T) {
			t.Parallel() // most of a fault is waiting
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := l.strike(t, p.Fault, func(c *registry.Client, address string) error {
				image, err := c.Pull(ctx, address+"/pull/app:v1", v1.Platform{OS: "linux", Architecture: "arm64"})
				if err != nil {
					return err
				}
				return readAll(image)
			})
			p.verdict(t, err)
		})
	}
	t.Logf("%d fault points", len(points))
}

// index has two platforms that share a layer, of content that only seed decides.
func index(t *testing.T, seed uint64) v1.ImageIndex {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	layer := func(size int) v1.Layer {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(random.Uint32())
		}
		return static.NewLayer(content, types.OCILayer)
	}
	shared := layer(200_000)
	out := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{OS: "linux", Architecture: arch})
		if err == nil {
			image, err = mutate.AppendLayers(image, shared, layer(70_000), layer(10))
		}
		if err != nil {
			t.Fatal(err)
		}
		out = mutate.AppendManifests(out, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return out
}

func digest(t *testing.T, artifact registry.Artifact) string {
	t.Helper()
	d, err := artifact.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// readAll reads every layer to its end, which checks its digest.
func readAll(image v1.Image) error {
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, content)
		if err = errors.Join(err, content.Close()); err != nil {
			return err
		}
	}
	return nil
}
