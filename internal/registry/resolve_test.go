package registry_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
)

func TestResolveAsksOnce(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		image := testImage(t, 1, 100)
		if _, err := l.client.Push(t.Context(), image, tag); err != nil {
			t.Fatal(err)
		}
		before := len(l.server.Log())
		got, err := l.client.Resolve(t.Context(), tag)
		if err != nil || got.String() != digestOf(t, image) {
			t.Errorf("%s, %v", got, err)
		}
		if diff := cmp.Diff([]string{"HEAD /v2/team/app/manifests/v1"}, l.server.Log()[before:]); diff != "" {
			t.Errorf("requests: %s", diff)
		}
		if got, err := l.client.Resolve(t.Context(), host+"/any@"+digestOf(t, image)); err != nil || got.String() != digestOf(t, image) {
			t.Errorf("with a digest: %s, %v", got, err)
		}
		if n := len(l.server.Log()); n != before+1 {
			t.Errorf("a digest was asked for: %v", l.server.Log()[before+1:])
		}
		if _, err := l.client.Resolve(t.Context(), host+"/team/none:v1"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("what is not there: %v", err)
		}
	})
}

func TestPlatforms(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		arm := v1.Platform{OS: "linux", Architecture: "arm64"}
		image := testImage(t, 1, 100)
		index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
			mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &arm}},
			mutate.IndexAddendum{Add: testImage(t, 2, 100), Descriptor: v1.Descriptor{Platform: &linux}})
		if _, err := l.client.Push(t.Context(), index, tag); err != nil {
			t.Fatal(err)
		}
		got, several, err := l.client.Platforms(t.Context(), tag)
		if diff := cmp.Diff([]v1.Platform{arm, linux}, got); diff != "" || !several || err != nil {
			t.Errorf("index %v, %v: %s", several, err, diff)
		}
		got, several, err = l.client.Platforms(t.Context(), host+"/"+repo+"@"+digestOf(t, image))
		if len(got) != 1 || several || err != nil {
			t.Errorf("one image: %v %v %v", got, several, err)
		}
	})
}

// A tag moves with one manifest, and stays with none.
func TestRetag(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		one, two := testImage(t, 1, 100), testImage(t, 2, 100)
		for _, image := range []v1.Image{one, two} {
			if _, err := l.client.Push(t.Context(), image, tag); err != nil {
				t.Fatal(err)
			}
		}
		digest, err := one.Digest()
		if err != nil {
			t.Fatal(err)
		}
		key := host + "/" + repo + ":key"
		if err := l.client.Tag(t.Context(), one, key); err != nil {
			t.Fatal(err)
		}
		if got, ok := l.client.Find(t.Context(), key); !ok || got != digest {
			t.Errorf("found %s %v", got, ok)
		}
		before := len(l.server.Log())
		if moved, err := l.client.Retag(t.Context(), digest, tag); !moved || err != nil {
			t.Errorf("moved=%v %v", moved, err)
		}
		if moved, err := l.client.Retag(t.Context(), digest, tag); moved || err != nil {
			t.Errorf("again: moved=%v %v", moved, err)
		}
		want := []string{"HEAD /v2/team/app/manifests/v1", "GET /v2/team/app/manifests/" + digest.String(), "PUT /v2/team/app/manifests/v1", "HEAD /v2/team/app/manifests/v1"}
		if diff := cmp.Diff(want, l.server.Log()[before:]); diff != "" {
			t.Errorf("requests: %s", diff)
		}
		if got, _ := l.server.Tag(repo, "v1"); got != digest.String() {
			t.Errorf("the tag is %s", got)
		}
		if _, err := l.client.Retag(t.Context(), v1.Hash{Algorithm: "sha256", Hex: "1111111111111111111111111111111111111111111111111111111111111111"}, tag); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a digest that is not there: %v", err)
		}
	})
}

// Find does not insist: one request, whatever the answer.
func TestFindAsksOnce(t *testing.T) {
	bubble(t, registry.Options{}, nil, func(t *testing.T, l *lab) {
		if _, ok := l.client.Find(t.Context(), tag); ok {
			t.Error("found what is not there")
		}
		if n := l.server.Count(regtest.HeadTag); n != 1 {
			t.Errorf("asked %d times", n)
		}
	}, regtest.Fault{On: regtest.HeadTag, Do: regtest.Status(503)})
}
