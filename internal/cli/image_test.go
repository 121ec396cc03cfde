package cli

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/term"
)

func TestImageOptions(t *testing.T) {
	checkOptions(t, newImageInspectCmd,
		optionsCase[inspectOptions]{args: "oci:x", want: inspectOptions{Name: "oci:x"}},
		optionsCase[inspectOptions]{args: "a/b:v1 --files --platform linux/arm64", want: inspectOptions{Name: "a/b:v1", Files: true, lookOptions: lookOptions{Platform: "linux/arm64"}}},
		optionsCase[inspectOptions]{args: ". --sbom", want: inspectOptions{Name: ".", SBOM: true}},
		optionsCase[inspectOptions]{args: ". --sbom --provenance", says: "--sbom and --provenance: choose one"},
		optionsCase[inspectOptions]{args: "a b", says: "accepts 1 arg"},
	)
	checkOptions(t, newImageDiffCmd,
		optionsCase[diffOptions]{args: "a . --platform linux/amd64", want: diffOptions{A: "a", B: ".", lookOptions: lookOptions{Platform: "linux/amd64"}}},
		optionsCase[diffOptions]{args: "a", says: "accepts 2 arg"},
	)
	checkOptions(t, newImageVerifyCmd,
		optionsCase[verifyOptions]{args: "a/b --key k.pub", want: verifyOptions{Image: "a/b", Key: "k.pub"}},
		optionsCase[verifyOptions]{args: "", says: "accepts 1 arg"},
	)
	checkOptions(t, newImageKeygenCmd,
		optionsCase[keygenOptions]{args: "", want: keygenOptions{Name: "kn-lite"}},
		optionsCase[keygenOptions]{args: "keys/release", want: keygenOptions{Name: "keys/release"}},
	)
}

func TestRegistryOptions(t *testing.T) {
	checkOptions(t, newRegistryLoginCmd,
		optionsCase[registryLoginOptions]{args: "ghcr.io", want: registryLoginOptions{Host: "ghcr.io"}},
		optionsCase[registryLoginOptions]{args: "ghcr.io -u ada --password-stdin", want: registryLoginOptions{Host: "ghcr.io", User: "ada", PasswordStdin: true}},
		optionsCase[registryLoginOptions]{args: "ghcr.io --password-stdin", says: "--password-stdin needs the user's name"},
		optionsCase[registryLoginOptions]{args: "", says: "accepts 1 arg"},
	)
	checkOptions(t, newRegistryCheckCmd,
		optionsCase[registryCheckOptions]{args: ""},
		optionsCase[registryCheckOptions]{args: "ghcr.io/me/hello", want: registryCheckOptions{Name: "ghcr.io/me/hello"}},
		optionsCase[registryCheckOptions]{args: "a b", says: "accepts at most 1"},
	)
	checkOptions(t, newRegistryLogoutCmd,
		optionsCase[registryLogoutOptions]{args: "ghcr.io", want: registryLogoutOptions{Host: "ghcr.io"}},
		optionsCase[registryLogoutOptions]{args: "", says: "accepts 1 arg"},
	)
	checkOptions(t, newRegistryServeCmd,
		optionsCase[registryServeOptions]{args: "", want: registryServeOptions{Address: "127.0.0.1:5000"}},
		optionsCase[registryServeOptions]{args: "--address :0 --name a,b --name c", want: registryServeOptions{Address: ":0", Names: []string{"a", "b", "c"}}},
		optionsCase[registryServeOptions]{args: "x", says: "takes no arguments"},
	)
}

func TestImageSummary(t *testing.T) {
	one := image.PlatformSummary{
		Platform: "linux/amd64", Digest: "sha256:1", Created: time.Unix(0, 0).UTC(), Size: 3 << 20,
		Base: &image.Base{Name: "alpine:3", Digest: "sha256:b"},
		Config: image.Config{
			User: "65532", Entrypoint: []string{"/app/run", "a b"}, Command: []string{"-v"}, WorkingDir: "/app",
			Ports: []string{"8080/tcp"}, Env: []string{"A=1"}, Labels: map[string]string{"z": "1", "a": "2"},
		},
		Attached: []image.Attachment{{Kind: image.SBOM, Digest: "sha256:s"}, {Kind: image.Provenance, Digest: "sha256:p"}},
		Layers: []image.Layer{
			{Name: "base", Digest: "sha256:l1", Size: 1 << 20, FileCount: 2, CreatedBy: "RUN  x\n y"},
			{Digest: "sha256:l2", Size: 2 << 20, FileCount: 1, Files: []image.File{{Path: "/run", Permissions: "Lrwxrwxrwx", Size: 7, Target: "app/run", UID: 1}}},
		},
	}
	streams, out, _ := term.Test()
	if err := writeImageSummary(streams, &image.Summary{Name: "oci:x", Digest: "sha256:1", Images: []image.PlatformSummary{one}, Signatures: 2}); err != nil {
		t.Fatal(err)
	}
	const want = `image      oci:x
digest     sha256:1
signed     2 signatures, not checked: kn-lite image verify
platform   linux/amd64
  base     alpine:3 sha256:b
  created  1970-01-01T00:00:00Z
  user     65532
  starts   /app/run "a b" -v
  folder   /app
  ports    8080/tcp
  env      A=1
  label    a=2
  label    z=1
  sbom     sha256:s
  origin   sha256:p
  size     3.1 MB in 2 layers

LAYER   SIZE     FILES   CREATED BY   DIGEST
base    1.0 MB   2       RUN x y      sha256:l1
2       2.1 MB   1                    sha256:l2

LAYER   MODE         OWNER   SIZE   PATH
2       Lrwxrwxrwx   1:0     7      /run -> app/run
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestRegistryCheckText(t *testing.T) {
	// As -o json shows it, and as text.
	for _, tt := range []struct{ check, want string }{
		{`{
			"registry": "reg.example", "repository": "me/hello", "url": "https://reg.example", "mirrors": ["mirror.corp"],
			"tls": {"version": "TLS 1.3", "subject": "CN=reg.example", "issuer": "CN=Corp", "notAfter": "1970-01-01T00:00:00Z", "trustedBy": "corp.pem"},
			"auth": "bearer", "tokenServer": "https://auth.example/token",
			"sources": [{"place": "~/.docker/config.json", "found": "nothing"}, {"place": "auth.json", "found": "ada"}],
			"user": "ada", "credentials": "auth.json", "pull": {"answer": "yes"}, "push": {"answer": "no", "why": "denied"}
		}`, `registry     https://reg.example
repository   me/hello
mirror       mirror.corp is asked before it
certificate  CN=reg.example, until 1970-01-01, TLS 1.3
trusted by   corp.pem (CN=Corp)
asks for     a token of https://auth.example/token
looked in    ~/.docker/config.json: nothing
looked in    auth.json: ada
uses         those of auth.json
pull         yes
push         no: denied`},
		{`{"registry": "localhost:5000", "url": "http://localhost:5000", "auth": "none", "sources": [], "pull": {"answer": "yes", "why": "it asks nobody"}, "push": {}}`, `registry     http://localhost:5000
certificate  none: plain HTTP
asks for     no credentials
uses         no credentials
pull         yes: it asks nobody`},
	} {
		var check registry.Check
		if err := json.Unmarshal([]byte(tt.check), &check); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, checkText(&check)); diff != "" {
			t.Error(diff)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, []byte(tt.check)); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(registryCheck{Check: &check})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(`{"apiVersion":"","kind":"",`+want.String()[1:], string(got)); diff != "" {
			t.Error(diff)
		}
	}
}
