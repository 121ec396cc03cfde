package registry

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// What a registry says of sizes, digests and types is looked at before it is used:
// each is an error, none a panic, and none fills memory.
func TestMalformedManifests(t *testing.T) {
	config := `{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["` + attest.Digest([]byte("x")) + `"]}}`
	const index, image = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
	part := func(kind, digest, size string) string {
		return `{"mediaType":"application/vnd.oci.image.` + kind + `","digest":` + digest + `,"size":` + size + `}`
	}
	good, layer := `"`+attest.Digest([]byte(config))+`"`, `"`+attest.Digest([]byte("x"))+`"`
	manifest := func(config, layers string) string {
		return `{"schemaVersion":2,"mediaType":"` + image + `","config":` + config + `,"layers":[` + layers + `]}`
	}
	size := fmt.Sprint(len(config))
	cases := map[string]string{
		"good": manifest(part("config.v1+json", good, size), part("layer.v1.tar", layer, "1")),
	}
	for name, values := range map[string][2]string{
		"negative": {good, "-1"}, "very negative": {good, "-9223372036854775808"}, "too large a number": {good, "9223372036854775808"},
		"huge": {good, "9223372036854775807"}, "a fraction": {good, "1.5"}, "text": {good, `"12"`}, "null": {"null", "null"},
		"empty digest": {`""`, size}, "short digest": {`"sha256:12"`, size}, "another algorithm": {`"sha512:` + strings.Repeat("0", 128) + `"`, size},
		"upper case": {`"sha256:` + strings.Repeat("A", 64) + `"`, size}, "a path": {`"sha256:../../../../etc/passwd"`, size}, "no digest": {"{}", size},
	} {
		cases["config: "+name] = manifest(part("config.v1+json", values[0], values[1]), part("layer.v1.tar", layer, "1"))
		wrong := strings.ReplaceAll(values[0], good, layer)
		cases["layer: "+name] = manifest(part("config.v1+json", good, size), part("layer.v1.tar", wrong, values[1]))
		if name == "huge" { // a layer may have any size; it is read when it is asked for
			delete(cases, "layer: "+name)
		}
		if wrong != layer { // sizes in an index are nobody's business
			cases["index: "+name] = `{"schemaVersion":2,"mediaType":"` + index + `","manifests":[{"mediaType":"` + image + `","digest":` + wrong + `,"size":1,"platform":{"os":"linux","architecture":"amd64"}}]}`
		}
	}
	cases["nothing"] = `{}`
	cases["null"] = `null`
	cases["null layers"] = `{"mediaType":"` + image + `","config":null,"layers":[null]}`
	cases["null manifests"] = `{"mediaType":"` + index + `","manifests":[null]}`
	cases["more layers than diff IDs"] = manifest(part("config.v1+json", good, size), part("layer.v1.tar", layer, "1")+","+part("layer.v1.tar", layer, "1"))
	cases["no layers"] = manifest(part("config.v1+json", good, size), "")
	cases["an old kind"] = `{"schemaVersion":1,"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws","fsLayers":[{"blobSum":"x"}]}`
	cases["a type with control characters"] = `{"mediaType":"application/\u001b[2Jx"}`
	for name, raw := range cases {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/v2/":
				case strings.Contains(r.URL.Path, "/manifests/"):
					w.Header().Set("Content-Type", image)
					fmt.Fprint(w, raw)
				case strings.HasSuffix(r.URL.Path, strings.Trim(good, `"`)):
					fmt.Fprint(w, config)
				default:
					fmt.Fprint(w, "x")
				}
			}))
			defer server.Close()
			client, err := New(Options{Policy: Policy{Attempts: 1}})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ref := server.Listener.Addr().String() + "/me/app"
			got, err := client.Pull(t.Context(), ref, v1.Platform{OS: "linux", Architecture: "amd64"})
			if (err == nil) != (name == "good") {
				t.Fatalf("got %v", err)
			}
			if err != nil && strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("control characters in %q", err)
			}
			// None of these may panic either, whatever they answer.
			_, _, _ = client.Platforms(t.Context(), ref)
			_, _ = client.Head(t.Context(), ref)
			_, _ = client.Signatures(t.Context(), ref+"@"+attest.Digest([]byte(raw)))
			_, _ = client.Referrers(t.Context(), ref+"@"+attest.Digest([]byte(raw)))
			if err == nil {
				if _, err := got.Layers(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// One rule for hosts that have no address, and advice that fits what was done.
func TestExplainUnknown(t *testing.T) {
	client, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	unknown := client.explain(t.Context(), "registry.head", "nowhere.example/app", "nowhere.example", &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true})
	if fault.KindOf(unknown) != fault.Transient || fault.HintOf(unknown) == "" {
		t.Errorf("an unknown host: %v (%v)", unknown, fault.KindOf(unknown))
	}
	missing := &StatusError{Status: http.StatusNotFound}
	for op, want := range map[string]string{"registry.head": "there is no such image", "registry.pull": "there is no such image", "registry.push": "before the first push"} {
		err := client.explain(t.Context(), op, "reg.example/app", "reg.example", missing)
		if fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.HintOf(err), want) {
			t.Errorf("%s: hint %q", op, fault.HintOf(err))
		}
	}
}
