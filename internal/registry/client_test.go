package registry_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

// bubble runs a test with a lab in a synctest bubble.
func bubble(t *testing.T, opts registry.Options, setup func(*regtest.Server), run func(t *testing.T, l *lab), faults ...regtest.Fault) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := regtest.New(faults...)
		if setup != nil {
			setup(server)
		}
		l := newLab(t, server, opts)
		defer l.close()
		run(t, l)
		server.Verify(t)
	})
}

func TestPushAgainWritesNothing(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		image := testImage(t, 1, 1000, 1000)
		first, err := l.client.Push(t.Context(), image, tag)
		if err != nil {
			t.Fatal(err)
		}
		before := len(l.server.Log())
		second, err := l.client.Push(t.Context(), image, tag)
		if err != nil || second != first {
			t.Errorf("got %s, %v, want %s", second, err, first)
		}
		if diff := cmp.Diff([]string{"HEAD /v2/team/app/manifests/v1"}, l.server.Log()[before:]); diff != "" {
			t.Errorf("requests of the second push: %s", diff)
		}
	})
}

// TestPushOrder: no manifest before its blobs, no parent before its children,
// and the tag after everything else.
func TestPushOrder(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		arm := v1.Platform{OS: "linux", Architecture: "arm64"}
		shared := static.NewLayer([]byte("both platforms have this"), types.OCILayer)
		var images []v1.Image
		for seed := range byte(2) {
			image, err := mutate.AppendLayers(testImage(t, seed, 700), shared)
			if err != nil {
				t.Fatal(err)
			}
			images = append(images, image)
		}
		index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
			mutate.IndexAddendum{Add: images[0], Descriptor: v1.Descriptor{Platform: &linux}},
			mutate.IndexAddendum{Add: images[1], Descriptor: v1.Descriptor{Platform: &arm}})
		ref, err := l.client.Push(t.Context(), index, tag)
		if err != nil || ref != host+"/"+repo+"@"+digestOf(t, index) {
			t.Fatalf("got %s, %v", ref, err)
		}
		if digest, complete := l.server.Tag(repo, "v1"); digest != digestOf(t, index) || !complete {
			t.Errorf("the tag is %s, complete %v", digest, complete)
		}
		log := l.server.Log()
		var puts []string
		for _, request := range log {
			if strings.HasPrefix(request, "PUT") && strings.Contains(request, "/manifests/") {
				puts = append(puts, request[strings.LastIndex(request, "/")+1:])
			}
		}
		want := []string{digestOf(t, images[0]), digestOf(t, images[1]), digestOf(t, index), "v1"}
		if diff := cmp.Diff(want, puts); diff != "" {
			t.Errorf("manifests in order: %s", diff)
		}
		if last := log[len(log)-1]; last != "PUT /v2/team/app/manifests/v1" {
			t.Errorf("the last request is %s", last)
		}
		if n := l.server.Count(regtest.PatchUpload); n != 5 {
			t.Errorf("%d uploads, want 5: two layers, two configs and the shared layer once", n)
		}
	})
}

func TestLeastScope(t *testing.T) {
	env := credentials(t, "u", "p")
	bubble(t, registry.Options{Env: env}, func(s *regtest.Server) {
		s.Auth, s.User, s.Password = "bearer", "u", "p"
	}, func(t *testing.T, l *lab) {
		if _, err := l.client.Push(t.Context(), testImage(t, 1, 10), host+"/base/node:v1"); err != nil {
			t.Fatal(err)
		}
		base, err := l.client.Pull(t.Context(), host+"/base/node:v1", linux)
		if err != nil {
			t.Fatal(err)
		}
		image, err := mutate.AppendLayers(base, static.NewLayer([]byte("app"), types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.client.Push(t.Context(), image, tag); err != nil {
			t.Fatal(err)
		}
		want := []string{"repository:base/node:pull,push", "repository:base/node:pull", "repository:team/app:pull,push", "repository:base/node:pull"}
		if diff := cmp.Diff(want, l.server.Scopes()); diff != "" {
			t.Errorf("scopes: %s", diff)
		}
		for _, request := range l.server.Authorized() {
			if strings.HasSuffix(request, "GET /v2/") {
				t.Errorf("credentials went out before anybody asked: %s", request)
			}
		}
	})
}

// movedBytes returns how many bytes of the layers that were tasks have been counted.
func movedBytes(r *progresstest.Recorder) (total int64) {
	for _, e := range r.Events() {
		if e.Kind == progresstest.Done && strings.Contains(e.Text, "ed layer ") {
			total += e.Bytes
		}
	}
	return total
}

func TestMountFromTheSameRegistry(t *testing.T) {
	seen := &progresstest.Recorder{}
	bubble(t, registry.Options{Progress: seen}, func(s *regtest.Server) {
		if err := s.Seed("base/node", "20", testImage(t, 9, 5000)); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T, l *lab) {
		base, err := l.client.Pull(t.Context(), host+"/base/node:20", linux)
		if err != nil {
			t.Fatal(err)
		}
		image, err := mutate.AppendLayers(base, static.NewLayer([]byte("app"), types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		done, err := l.client.PushWith(t.Context(), image, tag, registry.Attached{})
		if err != nil {
			t.Fatal(err)
		}
		var ended []string
		for _, text := range seen.Texts(progresstest.Debug) {
			fields := strings.Fields(text) // layer DIGEST mounted
			ended = append(ended, fields[0]+" "+fields[2])
		}
		slices.Sort(ended)
		if diff := cmp.Diff([]string{"config pulled", "config pushed", "layer mounted", "layer pushed"}, ended); diff != "" {
			t.Errorf("outcomes: %s", diff)
		}
		if got := done.String(); !strings.HasPrefix(got, "2 layers, 1 mounted, 1 new (") {
			t.Errorf("summary %q", got)
		}
		if n := l.server.Count(regtest.GetBlob); n != 1 {
			t.Errorf("%d blobs were read, want the base's config only", n)
		}
	})
}

func TestProgressTakesBackWhatIsSentAgain(t *testing.T) {
	seen := &progresstest.Recorder{}
	bubble(t, registry.Options{Progress: seen}, nil, func(t *testing.T, l *lab) {
		if _, err := l.client.Push(t.Context(), testImage(t, 1, 200_000), tag); err != nil {
			t.Fatal(err)
		}
		if got := movedBytes(seen); got != 200_000 {
			t.Errorf("progress counted %d bytes of 200000", got)
		}
	}, regtest.Fault{On: regtest.PatchUpload, Do: regtest.ResetAfterReading(90_000)}, regtest.Fault{On: regtest.PutUpload, Do: regtest.DropReply()})
}

// TestRetryAfterIsHonoured: what the server asks for is what is waited, but no
// more than a minute.
func TestRetryAfterIsHonoured(t *testing.T) {
	for after, want := range map[string]time.Duration{
		"9":                             9 * time.Second,
		"86400":                         time.Minute,
		"Sat, 01 Jan 2000 00:00:20 GMT": 20 * time.Second,
	} {
		bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
			started := time.Now()
			if _, err := l.client.Push(t.Context(), testImage(t, 1, 10), tag); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(started); took != want {
				t.Errorf("Retry-After %s: waited %v, want %v", after, took, want)
			}
		}, regtest.Fault{On: regtest.PutTag, Do: regtest.StatusAfter(429, after)})
	}
}

func TestStallIsGivenUpAndTriedAgain(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		started := time.Now()
		if _, err := l.client.Push(t.Context(), testImage(t, 1, 100_000), tag); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(started); took < 30*time.Second || took > 32*time.Second {
			t.Errorf("took %v, want the stall timeout of 30 s and a pause", took)
		}
	}, regtest.Fault{On: regtest.PutTag, Do: regtest.Stall()})
}

// TestSlowIsNotStalled: 100 seconds for one layer, a byte every second.
func TestSlowIsNotStalled(t *testing.T) {
	bubble(t, registry.Options{}, func(s *regtest.Server) {
		if err := s.Seed(repo, "v1", testImage(t, 1, 100_000)); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T, l *lab) {
		image, err := l.client.Pull(t.Context(), tag, linux)
		if err != nil {
			t.Fatal(err)
		}
		if err := readAll(image); err != nil {
			t.Error(err)
		}
		if n := l.server.Count(regtest.GetBlob); n != 2 {
			t.Errorf("%d requests for two blobs", n)
		}
	}, regtest.Fault{On: regtest.GetBlob, Nth: 2, Do: regtest.Slow(1000)})
}

// TestResumeSendsARange: a pull goes on where it was.
func TestResumeSendsARange(t *testing.T) {
	seen := &progresstest.Recorder{}
	bubble(t, registry.Options{Progress: seen}, func(s *regtest.Server) {
		if err := s.Seed(repo, "v1", testImage(t, 1, 100_000)); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T, l *lab) {
		image, err := l.client.Pull(t.Context(), tag, linux)
		if err != nil {
			t.Fatal(err)
		}
		if err := readAll(image); err != nil {
			t.Error(err)
		}
		if got := movedBytes(seen); got != 100_000 {
			t.Errorf("%d bytes were read for a layer of 100000", got)
		}
	}, regtest.Fault{On: regtest.GetBlob, Nth: 2, Do: regtest.ResetAfterWriting(60_000)})
}

func TestDeadlineAndInterrupt(t *testing.T) {
	always := regtest.Fault{On: regtest.HeadTag, Times: -1, Do: regtest.Stall()}
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		started := time.Now()
		_, err := l.client.Push(ctx, testImage(t, 1, 10), tag)
		if fault.KindOf(err) != fault.Timeout || time.Since(started) != 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(started))
		}
	}, always)
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		started := time.Now()
		_, err := l.client.Push(ctx, testImage(t, 1, 10), tag)
		if !errors.Is(err, context.Canceled) || time.Since(started) != 3*time.Second {
			t.Errorf("got %v after %v", err, time.Since(started))
		}
	}, always)
}

func TestMirrorsFirstThenTheRegistry(t *testing.T) {
	image := testImage(t, 5, 3000)
	tests := []struct {
		name    string
		mirrors []string
		fault   []regtest.Fault // at the registry itself
		want    string          // the host that served the layer
		kind    fault.Kind
	}{
		{"from the mirror", []string{"mirror:80/cache"}, []regtest.Fault{{On: regtest.Any, Times: -1, Do: regtest.Status(500)}}, "mirror", 0},
		{"mirror without the image", []string{"mirror:80/nothing"}, nil, "origin", 0},
		{"mirror down", []string{"down:80"}, nil, "origin", 0},
		{"second mirror", []string{"down:80", "mirror:80/cache"}, []regtest.Fault{{On: regtest.Any, Times: -1, Do: regtest.Status(500)}}, "mirror", 0},
		{"nowhere", []string{"mirror:80/nothing"}, []regtest.Fault{{On: regtest.GetTag, Times: -1, Do: regtest.Status(404)}}, "", fault.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := registry.Options{Insecure: []string{"mirror", "down"}, Mirrors: map[string][]string{host: tt.mirrors}}
			bubble(t, opts, func(s *regtest.Server) {
				if err := s.Seed(repo, "v1", image); err != nil {
					t.Fatal(err)
				}
			}, func(t *testing.T, l *lab) {
				mirror := regtest.New()
				if err := mirror.Seed("cache/"+repo, "v1", image); err != nil {
					t.Fatal(err)
				}
				l.net.Add("mirror:80", mirror, nil)
				got, err := l.client.Pull(t.Context(), tag, linux)
				if tt.want == "" {
					if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), "not from the mirrors mirror:80") {
						t.Errorf("got %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := readAll(got); err != nil {
					t.Error(err)
				}
				served := map[string]bool{"mirror": mirror.Count(regtest.GetBlob) == 2, "origin": l.server.Count(regtest.GetBlob) == 2}
				if !served[tt.want] || len(served) != 2 || served["mirror"] == served["origin"] {
					t.Errorf("served: %v, want %s", served, tt.want)
				}
			}, withoutUnfired(tt.fault, tt.want)...)
		})
	}
}

// withoutUnfired leaves out faults of a registry that must not even be asked.
func withoutUnfired(faults []regtest.Fault, served string) []regtest.Fault {
	if served == "mirror" {
		return nil
	}
	return faults
}

func TestPullPlatforms(t *testing.T) {
	arm := v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	image := testImage(t, 1, 10)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &linux}},
		mutate.IndexAddendum{Add: testImage(t, 2, 10), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	bubble(t, registry.Options{}, func(s *regtest.Server) {
		for name, artifact := range map[string]regtest.Artifact{"index": index, "image": image} {
			if err := s.Seed(repo, name, artifact); err != nil {
				t.Fatal(err)
			}
		}
	}, func(t *testing.T, l *lab) {
		got, err := l.client.Pull(t.Context(), host+"/"+repo+":index", v1.Platform{})
		if err != nil || digestOf(t, got) != digestOf(t, image) {
			t.Errorf("no platform is linux/amd64; got %v", err)
		}
		_, err = l.client.Pull(t.Context(), host+"/"+repo+":index", arm)
		if fault.KindOf(err) != fault.NotFound || fault.HintOf(err) != "there are: linux/amd64" {
			t.Errorf("got %v, hint %q", err, fault.HintOf(err))
		}
		_, err = l.client.Pull(t.Context(), host+"/"+repo+":image", arm)
		if fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "is for linux/amd64, not for linux/arm64") {
			t.Errorf("got %v", err)
		}
	})
}

func TestDigestAndHead(t *testing.T) {
	image := testImage(t, 1, 10)
	want := host + "/" + repo + "@" + digestOf(t, image)
	bubble(t, registry.Options{}, func(s *regtest.Server) {
		if err := s.Seed(repo, "v1", image); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T, l *lab) {
		for _, ref := range []string{tag, want} {
			if got, err := l.client.Digest(t.Context(), ref); err != nil || got != want {
				t.Errorf("%s: got %s, %v", ref, got, err)
			}
		}
		if _, err := l.client.Head(t.Context(), host+"/"+repo+":v9"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("got %v", err)
		}
	})
}
