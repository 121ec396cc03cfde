package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/builder/dockerfile"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// Layers of steps that other machines have left are taken when a trusted key has
// signed them as that step's.
func TestStepsAreVouchedFor(t *testing.T) {
	host, client := testRegistry(t)
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	name, elsewhere := strings.Repeat("1", 64), strings.Repeat("2", 64)
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	open := dockerfile.NewSteps(client, host+"/me/cache", &signing{})
	signed := dockerfile.NewSteps(client, host+"/me/cache", &signing{key: key, trusted: []*sign.PublicKey{key.Public()}})
	if err := open.Keep(t.Context(), name, layers[0]); err != nil {
		t.Fatal(err)
	}
	if open.Find(t.Context(), name) == nil || signed.Find(t.Context(), name) != nil {
		t.Error("an unsigned step: everybody without a key takes it, and nobody with one")
	}
	// It is there, and gets its signature.
	if err := signed.Keep(t.Context(), name, layers[0]); err != nil {
		t.Fatal(err)
	}
	if open.Find(t.Context(), name) == nil || signed.Find(t.Context(), name) == nil {
		t.Error("a signed step is not found")
	}
	// The same image under the name of another step.
	if err := open.Keep(t.Context(), elsewhere, layers[0]); err != nil {
		t.Fatal(err)
	}
	if signed.Find(t.Context(), elsewhere) != nil {
		t.Error("a signature for one step was taken for another")
	}
}

func TestToolchainsDoNotSeeTheKey(t *testing.T) {
	got := WithoutSecrets([]string{"PATH=/bin", "KN_LITE_SIGN_PASSWORD=secret", "KN_LITE_SIGN_KEY=k", "kn_lite_sign_password=secret", "KN_LITE_REGISTRY=x", "broken"})
	if want := []string{"PATH=/bin", "KN_LITE_REGISTRY=x", "broken"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDocumentsOfALayout(t *testing.T) {
	all := []attest.Artifact{{Type: attest.SPDXType}, {Type: attest.InTotoType}, {Type: "application/vnd.else"}}
	for _, test := range []struct {
		request PushRequest
		want    []string
	}{
		{PushRequest{}, []string{attest.SPDXType, attest.InTotoType, "application/vnd.else"}},
		{PushRequest{NoProvenance: true}, []string{attest.SPDXType, "application/vnd.else"}},
		{PushRequest{NoSBOM: true}, []string{attest.InTotoType, "application/vnd.else"}},
	} {
		var kinds []string
		for _, a := range test.request.wanted(all) {
			kinds = append(kinds, a.Type)
		}
		if !slices.Equal(kinds, test.want) {
			t.Errorf("%+v: %q", test.request, kinds)
		}
	}
}
