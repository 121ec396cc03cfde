package function

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParseEnvValue(t *testing.T) {
	good := map[string]EnvValue{
		"":                             {},
		"plain":                        {Text: "plain"},
		" {{ env:X }}":                 {Text: " {{ env:X }}"}, // func looks at the first two characters too
		"a {{ env:X }}":                {Text: "a {{ env:X }}"},
		"{{ env:X }}":                  {Origin: LocalEnv, Name: "X"},
		"{{env:_a.b-c}}":               {Origin: LocalEnv, Name: "_a.b-c"},
		"{{ secret:s:k }}":             {Origin: SecretKey, Name: "s", Key: "k"},
		"{{ secret : s.t : K_1.pem }}": {Origin: SecretKey, Name: "s.t", Key: "K_1.pem"},
		"{{ secret:s }}":               {Origin: AllOfSecret, Name: "s"},
		"{{ configMap:c:k }}":          {Origin: ConfigMapKey, Name: "c", Key: "k"},
		"{{ configMap:c }}":            {Origin: AllOfConfigMap, Name: "c"},
	}
	for text, want := range good {
		got, err := ParseEnvValue(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		if again, err := ParseEnvValue(got.String()); err != nil || again != got {
			t.Errorf("%q: %q reads back as %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{
		"{{", "{{}}", "{{ }}", "{{ env }}", "{{ env: }}", "{{ env:1X }}", "{{ env:X:Y }}", "{{ env:X", "{{ env:X }} tail", "{{ secret: }}", "{{ secret:S }}",
		"{{ secret:s: }}", "{{ secret:s:k:x }}", "{{ secret:s:a b }}", "{{ configmap:c }}", "{{ vault:x }}", "{{ {{ env:X }} }}", "{{ env:X }}{{ env:Y }}",
	} {
		if got, err := ParseEnvValue(text); err == nil {
			t.Errorf("%q: no error, %+v", text, got)
		}
	}
}

func TestLocal(t *testing.T) {
	lookup := func(name string) (string, bool) { return "here", name == "SET" }
	if got, err := (EnvValue{Origin: LocalEnv, Name: "SET"}).Local(lookup); err != nil || got != (EnvValue{Text: "here"}) {
		t.Errorf("set: %+v, %v", got, err)
	}
	if _, err := (EnvValue{Origin: LocalEnv, Name: "UNSET"}).Local(lookup); !errors.Is(err, ErrUnsetVariable) {
		t.Errorf("unset: %v", err)
	}
	secret := EnvValue{Origin: SecretKey, Name: "s", Key: "k"}
	if got, err := secret.Local(lookup); err != nil || got != secret {
		t.Errorf("secret: %+v, %v", got, err)
	}
}

func TestCheckName(t *testing.T) {
	long := "a123456789a123456789a123456789a123456789a123456789a123456789abc"
	for _, name := range []string{"a", "hello", "hello-2", long} {
		if err := CheckName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	suggestions := map[string]string{
		"": "", "Hello": "hello", "my_fn": "my-fn", "-a-": "a", "2nd": "nd", "a b  c": "a-b-c", "äöü": "", "v1.2": "v1-2", "A": "a", "a-": "a", long + "x": long, "hello!": "hello",
	}
	for name, good := range suggestions {
		err := CheckName(name)
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", name, err)
		}
		if got := SuggestName(name); got != good {
			t.Errorf("%q: suggests %q, want %q", name, got, good)
		}
		if good != "" && CheckName(good) != nil {
			t.Errorf("%q: the suggestion %q is no name", name, good)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, s := range []string{"1", "0.5", ".5", "1.", "500m", "128Mi", "1.5Gi", "1e3", "1E-3", "2k"} {
		if !isQuantity(s) {
			t.Errorf("%s is one", s)
		}
	}
	for _, s := range []string{"", ".", "m", "1mi", "1 Gi", "-1", "+1", "1e", "1e+", "fast", "1KB"} {
		if isQuantity(s) {
			t.Errorf("%s is none", s)
		}
	}
}
