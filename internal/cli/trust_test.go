package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// signer returns what signs with a key that signKey has made.
func (l *keyLab) signer(private, inputs string) registry.Signer {
	l.t.Helper()
	text, err := os.ReadFile(private)
	if err != nil {
		l.t.Fatal(err)
	}
	key, err := sign.ParsePrivate(private, text, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return func(name string, subject attest.Descriptor) (*attest.Artifact, error) {
		return key.Sign(sign.Statement{Name: name, Inputs: inputs}, subject)
	}
}

func (l *keyLab) client() *registry.Client {
	l.t.Helper()
	client, err := registry.New(registry.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(client.Close)
	return client
}

// keyTag is the tag that a build of the project looks for.
func (l *keyLab) keyTag() string {
	l.t.Helper()
	for _, r := range l.server.Log() {
		if _, tag, ok := strings.Cut(r, "/manifests/kn-lite-key-"); ok {
			return l.host + "/me/hello:kn-lite-key-" + tag
		}
	}
	l.t.Fatal("no build has looked for its key")
	return ""
}

// pushOther pushes what a stranger would like to be signed, under tag.
func (l *keyLab) pushOther(tag string) v1.Hash {
	l.t.Helper()
	image, err := random.Image(100, 1)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.client().Push(l.t.Context(), image, tag); err != nil {
		l.t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		l.t.Fatal(err)
	}
	return digest
}

func (l *keyLab) signatures(digest v1.Hash) int {
	l.t.Helper()
	found, err := l.client().Signatures(l.t.Context(), l.host+"/me/hello@"+digest.String())
	if err != nil {
		l.t.Fatal(err)
	}
	return len(found)
}

// Whoever may push can point the tag of a key at any image, also at one that was
// signed for other inputs. A machine that signs builds, and signs what it has built.
func TestKeyTagOfAStrangerIsNotSigned(t *testing.T) {
	for _, attack := range []string{"unsigned", "signed by a stranger", "signed for other inputs", "signed without inputs"} {
		t.Run(attack, func(t *testing.T) {
			l := newKeyLab(t)
			private, _ := signKey(t)
			stranger, _ := signKey(t)
			right, _, _ := l.build(t.TempDir(), l.clone())
			at := l.keyTag()
			planted := l.pushOther(at)
			signed := 1
			var err error
			switch inputs := "sha256:" + strings.TrimPrefix(at, l.host+"/me/hello:kn-lite-key-"); attack {
			case "unsigned":
				signed = 0
			case "signed by a stranger":
				err = l.client().Sign(t.Context(), planted, at, l.signer(stranger, inputs))
			case "signed for other inputs":
				err = l.client().Sign(t.Context(), planted, at, l.signer(private, "sha256:"+strings.Repeat("0", 64)))
			default:
				err = l.client().Sign(t.Context(), planted, at, l.signer(private, ""))
			}
			if err != nil {
				t.Fatal(err)
			}
			got, output, _ := l.build(t.TempDir(), l.clone(), "--sign-key", private)
			if got != right || strings.Contains(output, "unchanged") || !strings.Contains(output, "not vouched for") {
				t.Errorf("%s, not %s:\n%s", got, right, output)
			}
			if n := l.signatures(planted); n != signed {
				t.Errorf("what was planted has %d signatures, not %d", n, signed)
			}
			digest, _ := v1.NewHash(right[strings.Index(right, "@")+1:])
			if n := l.signatures(digest); n != 1 {
				t.Errorf("what was built has %d signatures", n)
			}
			if now, _ := l.server.Tag("me/hello", strings.TrimPrefix(at, l.host+"/me/hello:")); now != digest.String() {
				t.Errorf("the key's tag still means %s", now)
			}
		})
	}
}

// What a trusted key has signed as built from these inputs is not built again, by
// the same key, or by the one that is named for checking.
func TestVouchedKeyTagIsTaken(t *testing.T) {
	l := newKeyLab(t)
	first, public := signKey(t)
	second, _ := signKey(t)
	ref, _, _ := l.build(t.TempDir(), l.clone(), "--sign-key", first)
	if got, output, _ := l.build(t.TempDir(), l.clone(), "--sign-key", first); got != ref || !strings.Contains(output, "unchanged") {
		t.Errorf("%s, not %s:\n%s", got, ref, output)
	}
	if _, output, _ := l.build(t.TempDir(), l.clone(), "--sign-key", second); !strings.Contains(output, "not vouched for") {
		t.Errorf("the signature of another key was taken:\n%s", output)
	}
	l = newKeyLab(t)
	ref, _, _ = l.build(t.TempDir(), l.clone(), "--sign-key", first)
	l.env = map[string]string{"KN_LITE_VERIFY_KEY": public}
	if got, output, _ := l.build(t.TempDir(), l.clone(), "--sign-key", second); got != ref || !strings.Contains(output, "unchanged") {
		t.Errorf("%s, not %s:\n%s", got, ref, output)
	}
	digest, _ := v1.NewHash(ref[strings.Index(ref, "@")+1:])
	if n := l.signatures(digest); n != 2 {
		t.Errorf("%d signatures, want one by each key", n)
	}
}

// A clone may bring an image along where builds leave theirs.
func TestPushSignsWhatWasBuiltHere(t *testing.T) {
	l := newKeyLab(t)
	private, _ := signKey(t)
	builder, stranger, dir := t.TempDir(), t.TempDir(), l.clone()
	run := func(home string, args ...string) (int, string) {
		t.Helper()
		sys, _, stderr := testSystem(t, args...)
		env := map[string]string{"HOME": home, "KN_LITE_REGISTRY": l.host + "/me"}
		sys.Env = func(name string) string { return env[name] }
		sys.Now = time.Now
		return Main(context.Background(), sys), stderr.String()
	}
	if code, output := run(builder, "build", dir, "--base-image", l.host+"/base/node:22"); code != 0 {
		t.Fatal(output)
	}
	before := len(writes(l.server.Log()))
	if code, output := run(stranger, "push", dir, "--sign-key", private); code != 6 || !strings.Contains(output, "was not built on this machine") {
		t.Errorf("exit %d: %s", code, output)
	}
	if len(writes(l.server.Log())) > before {
		t.Errorf("something was written: %q", writes(l.server.Log()))
	}
	if code, output := run(stranger, "push", dir, "--image", l.host+"/me/elsewhere:1"); code != 6 || !strings.Contains(output, "was not built on this machine") {
		t.Errorf("without a key: exit %d: %s", code, output)
	}
	if len(writes(l.server.Log())) > before {
		t.Errorf("something was written: %q", writes(l.server.Log()))
	}
	if code, output := run(builder, "push", dir, "--sign-key", private); code != 0 {
		t.Errorf("where it was built: exit %d: %s", code, output)
	}
}

// The right image with other documents, or with another tag, is not what was built.
func TestPushSendsNothingThatWasAdded(t *testing.T) {
	l := newKeyLab(t)
	home, dir := t.TempDir(), l.clone()
	run := func(args ...string) (int, string) {
		t.Helper()
		sys, _, stderr := testSystem(t, args...)
		env := map[string]string{"HOME": home, "KN_LITE_REGISTRY": l.host + "/me"}
		sys.Env = func(name string) string { return env[name] }
		sys.Now = time.Now
		return Main(context.Background(), sys), stderr.String()
	}
	build := []string{"build", dir, "--base-image", l.host + "/base/node:22"}
	index := filepath.Join(dir, ".kn-lite", "build", "index.json")
	for what, change := range map[string]func([]byte) []byte{
		"another tag": func(raw []byte) []byte { return bytes.ReplaceAll(raw, []byte(l.host+"/me/"), []byte(l.host+"/prod/")) },
		"fewer documents": func(raw []byte) []byte {
			var top map[string]any
			if err := json.Unmarshal(raw, &top); err != nil {
				t.Fatal(err)
			}
			top["manifests"] = top["manifests"].([]any)[:2]
			raw, err := json.Marshal(top)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		},
	} {
		if code, output := run(build...); code != 0 {
			t.Fatal(output)
		}
		raw, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		changed := change(raw)
		if bytes.Equal(changed, raw) {
			t.Fatalf("%s: nothing is changed: %s", what, raw)
		}
		if err := os.WriteFile(index, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		before := len(writes(l.server.Log()))
		if code, output := run("push", dir); code != 6 || len(writes(l.server.Log())) > before {
			t.Errorf("%s: exit %d: %s", what, code, output)
		}
		if code, output := run(build...); code != 0 {
			t.Errorf("%s: built again: exit %d: %s", what, code, output)
		}
		if now, err := os.ReadFile(index); err != nil || !bytes.Equal(now, raw) {
			t.Errorf("%s: the next build leaves %s, not %s", what, now, raw)
		}
		if code, output := run("push", dir); code != 0 {
			t.Errorf("%s: pushed after another build: exit %d: %s", what, code, output)
		}
	}
}
