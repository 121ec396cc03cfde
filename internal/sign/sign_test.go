package sign

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

const (
	name  = "registry.example/me/hello"
	one   = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	other = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func generate(t *testing.T) *PrivateKey {
	t.Helper()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signed(t *testing.T, k *PrivateKey, name, digest string) []attest.Blob {
	t.Helper()
	a, err := k.Sign(Statement{Name: name}, attest.Descriptor{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	return a.Blobs
}

func TestVerify(t *testing.T) {
	k, stranger := generate(t), generate(t)
	good := signed(t, k, name, one)
	changed := []attest.Blob{good[0]}
	changed[0].Content = []byte(strings.Replace(string(good[0].Content), one, other, 1))
	statement := []byte(`{"critical":{"image":{"docker-manifest-digest":"` + one + `"},"type":"something else"}}`)
	tests := map[string]struct {
		candidates []attest.Blob
		want       error
	}{
		"good":                        {good, nil},
		"good among others":           {append(signed(t, stranger, name, one), good...), nil},
		"none":                        {nil, ErrUnsigned},
		"another key":                 {signed(t, stranger, name, one), ErrNoMatch},
		"changed payload":             {changed, ErrNoMatch},
		"of another image":            {signed(t, k, name, other), ErrOther},
		"of another name":             {signed(t, k, "registry.example/me/other", one), ErrName},
		"of something else":           {[]attest.Blob{signText(t, k, statement)}, ErrOther},
		"no JSON":                     {[]attest.Blob{signText(t, k, []byte("x"))}, ErrOther},
		"no signature in the blob":    {[]attest.Blob{{Content: good[0].Content}}, ErrNoMatch},
		"a signature that is no text": {[]attest.Blob{{Content: good[0].Content, Annotations: map[string]string{attest.AnnotationSignature: "%%"}}}, ErrNoMatch},
	}
	texts := map[string]string{}
	for label, test := range tests {
		digest := one
		if label == "changed payload" {
			digest = other // what the attacker wants to be believed
		}
		err := k.Public().Verify(Statement{Name: name}, digest, test.candidates)
		if !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", label, err, test.want)
		}
		if err == nil {
			continue
		}
		if fault.KindOf(err) != fault.Conflict || fault.HintOf(err) == "" {
			t.Errorf("%s: kind %v, hint %q", label, fault.KindOf(err), fault.HintOf(err))
		}
		texts[test.want.Error()] = label
	}
	from := func(inputs string) []attest.Blob {
		a, err := k.Sign(Statement{Name: name, Inputs: inputs}, attest.Descriptor{Digest: one})
		if err != nil {
			t.Fatal(err)
		}
		return a.Blobs
	}
	for label, test := range map[string]struct {
		candidates []attest.Blob
		want       error
	}{
		"from these inputs": {from(other), nil},
		"among others":      {append(from(one), from(other)...), nil},
		"from other inputs": {from(one), ErrInputs},
		"from no inputs":    {good, ErrInputs},
	} {
		if err := k.Public().Verify(Statement{Name: name, Inputs: other}, one, test.candidates); !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", label, err, test.want)
		}
		if err := k.Public().Verify(Statement{Name: name}, one, test.candidates); err != nil {
			t.Errorf("%s: it is signed all the same: %v", label, err)
		}
	}
	if len(texts) != 4 {
		t.Errorf("four ways to fail, and their texts are %v", texts)
	}
}

func signText(t *testing.T, k *PrivateKey, text []byte) attest.Blob {
	t.Helper()
	sum := hash.New()
	sum.Write(text)
	signature, err := k.key.Sign(nil, sum.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return attest.Blob{Content: text, Annotations: map[string]string{attest.AnnotationSignature: base64.StdEncoding.EncodeToString(signature)}}
}

func TestSignTwiceGivesTheSame(t *testing.T) {
	k := generate(t)
	a, b := signed(t, k, name, one), signed(t, k, name, one)
	if string(a[0].Content) != string(b[0].Content) || a[0].Annotations[attest.AnnotationSignature] != b[0].Annotations[attest.AnnotationSignature] {
		t.Error("two signatures of one image differ")
	}
	var fields map[string]any
	if err := json.Unmarshal(a[0].Content, &fields); err != nil || fields["critical"] == nil {
		t.Errorf("payload %s", a[0].Content)
	}
}

func TestKeyFiles(t *testing.T) {
	k := generate(t)
	for _, password := range []string{"", "correct horse"} {
		text, err := k.PEM(password)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		again, err := ParsePrivate("k", text, func() (string, error) { asked++; return password, nil })
		if err != nil || !again.key.Equal(k.key) {
			t.Errorf("password %q: %v", password, err)
		}
		if (asked > 0) != (password != "") {
			t.Errorf("password %q: asked %d times", password, asked)
		}
	}
	text, err := k.Public().PEM()
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParsePublic("k", text)
	if err != nil || !public.key.Equal(&k.key.PublicKey) || public.Fingerprint() != k.Public().Fingerprint() {
		t.Errorf("public key: %v", err)
	}
}

// Errors about keys never hold any of the key.
func TestKeyErrors(t *testing.T) {
	k := generate(t)
	plain, _ := k.PEM("")
	sealed, _ := k.PEM("right")
	public, _ := k.Public().PEM()
	for label, test := range map[string]struct {
		text []byte
		want string
		kind fault.Kind
	}{
		"nothing":        {nil, "no PEM", fault.Usage},
		"public":         {public, "public key", fault.Usage},
		"wrong password": {sealed, "the password is wrong", fault.Auth},
		"damaged":        {[]byte(strings.Replace(string(plain), "M", "N", 3)), "", fault.Usage},
		"cosign's":       {[]byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "cosign's own form", fault.Usage},
		"old form":       {[]byte("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"), "openssl pkcs8", fault.Usage},
		"no encryption":  {[]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), "PBES2", fault.Usage},
	} {
		_, err := ParsePrivate("my.key", test.text, func() (string, error) { return "wrong", nil })
		if err == nil || !strings.Contains(err.Error(), test.want) || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), "my.key") {
			t.Errorf("%s: %v (%v)", label, err, fault.KindOf(err))
			continue
		}
		for line := range strings.Lines(string(test.text)) {
			if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "---") && strings.Contains(err.Error()+fault.HintOf(err), line) {
				t.Errorf("%s: the error quotes the key: %v", label, err)
			}
		}
	}
	if _, err := ParsePublic("k", plain); err == nil {
		t.Error("a private key is taken for a public one")
	}
}

// OpenSSL reads our keys, checks our signatures, and its keys are good here.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(openssl, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	write := func(file string, text []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	k := generate(t)
	sealed, err := k.PEM("secret")
	write("k.key", sealed, err)
	public, err := k.Public().PEM()
	write("k.pub", public, err)
	if got := run("pkey", "-in", "k.key", "-passin", "pass:secret", "-pubout"); got != string(public) {
		t.Errorf("openssl reads another key: %s", got)
	}
	blob := signed(t, k, name, one)[0]
	signature, err := base64.StdEncoding.DecodeString(blob.Annotations[attest.AnnotationSignature])
	write("signature", signature, err)
	write("payload", blob.Content, nil)
	if got := run("dgst", "-sha256", "-verify", "k.pub", "-signature", "signature", "payload"); !strings.Contains(got, "Verified OK") {
		t.Errorf("openssl says %s", got)
	}

	run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "theirs.key")
	run("pkcs8", "-topk8", "-in", "theirs.key", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256", "-passout", "pass:theirs", "-out", "sealed.key")
	text, err := os.ReadFile(filepath.Join(dir, "sealed.key"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ParsePrivate("sealed.key", text, func() (string, error) { return "theirs", nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Public().Verify(Statement{Name: name}, one, signed(t, theirs, name, one)); err != nil {
		t.Error(err)
	}
}

func FuzzDecrypt(f *testing.F) {
	k, err := Generate()
	if err != nil {
		f.Fatal(err)
	}
	sealed, err := encrypt([]byte("0123456789"), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	plain, _ := k.PEM("")
	f.Add(plain)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 256 { // many rounds take their time
			return
		}
		if der, err := decrypt(text, "p"); err == nil && len(der) == 0 {
			t.Error("a key of nothing")
		}
	})
}
