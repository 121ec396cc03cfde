package function

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Only the bytes of the value change, whatever stands around it.
func TestSet(t *testing.T) {
	tests := []struct{ name, source, path, value, want string }{
		{"plain", "name: a\nimage: old # why\nx: 1\n", "image", "r.example/a:v2", "name: a\nimage: r.example/a:v2 # why\nx: 1\n"},
		{"single quotes", "name: a\nimage: 'it''s' # why\n", "image", "new", "name: a\nimage: new # why\n"},
		{"double quotes", "name: a\nimage: \"a\\\"b\"\n", "image", "new", "name: a\nimage: new\n"},
		{"empty", "name: a\nimage: \"\"\n", "image", "new", "name: a\nimage: new\n"},
		{"nothing", "name: a\nimage:\nx: 1\n", "image", "new", "name: a\nimage: new\nx: 1\n"},
		{"missing at the top", "# mine\nname: a # n\nx: 1\n", "namespace", "shop", "# mine\nname: a # n\nnamespace: shop\nx: 1\n"},
		{"missing, no newline at the end", "x: 1\nname: a", "namespace", "shop", "namespace: shop\nx: 1\nname: a"},
		{"missing inside", "name: a\ndeploy:\n    # pods\n    options:\n        scale: {min: 1}\n", "deploy.namespace", "shop", "name: a\ndeploy:\n    # pods\n    namespace: shop\n    options:\n        scale: {min: 1}\n"},
		{"missing block", "name: a\nx: 1\n", "deploy.namespace", "shop", "name: a\ndeploy:\n  namespace: shop\nx: 1\n"},
		{"same value", "name: a\nimage:   'old'\n", "image", "old", "name: a\nimage:   'old'\n"},
		{"windows lines", "name: a\r\nx: 1\r\n", "image", "new", "name: a\r\nimage: new\r\nx: 1\r\n"},
		{"byte order mark", "\xef\xbb\xbfname: a\nimage: b\n", "name", "c", "\xef\xbb\xbfname: c\nimage: b\n"},
		{"wide characters", "name: a\nx: {größe: 1, image: b}\nimage: ü\n", "image", "c", "name: a\nx: {größe: 1, image: b}\nimage: c\n"},
		{"inside braces", "name: a\ndeploy: {namespace: b, remote: no}\n", "deploy.namespace", "c", "name: a\ndeploy: {namespace: c, remote: no}\n"},
		{"needs quotes", "name: a\ndomain: b\n", "domain", "a: #b", "name: a\ndomain: \"a: #b\"\n"},
		{"would be a truth value", "name: a\ndomain: b\n", "domain", "no", "name: a\ndomain: \"no\"\n"},
		{"digest", "name: a\n", "deploy.image", "r.example:5000/t/a@sha256:00ff", "name: a\ndeploy:\n  image: r.example:5000/t/a@sha256:00ff\n"},
		{"document marks", "---\nname: a\nimage: b\n...\n", "image", "c", "---\nname: a\nimage: c\n...\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.source)
			if err := f.Set(tt.path, tt.value); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(f.Bytes())); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			got := map[string]string{"image": f.Image, "name": f.Name, "namespace": f.Namespace, "domain": f.Domain, "deploy.namespace": f.Deploy.Namespace, "deploy.image": f.Deploy.Image}[tt.path]
			if got != tt.value {
				t.Errorf("the struct has %q", got)
			}
		})
	}
}

// Where an edit could touch something else, it does not happen.
func TestSetRefuses(t *testing.T) {
	tests := []struct {
		name, source, path, value string
		kind                      fault.Kind
	}{
		{"an anchor that others use", "name: &n a\nimage: *n\n", "name", "b", fault.Conflict},
		{"an alias", "name: &n a\nimage: *n\n", "image", "b", fault.Conflict},
		{"a block scalar", "name: a\nimage: |-\n  b\n", "image", "c", fault.Conflict},
		{"a tag", "name: a\nimage: !!str b\n", "image", "c", fault.Conflict},
		{"two lines", "name: a\ndomain: b\n  c\n", "domain", "c", fault.Conflict},
		{"a block in braces", "name: a\ndeploy: {}\n", "deploy.namespace", "b", fault.Conflict},
		{"a merged block", "x: &x\n  namespace: b\nname: a\ndeploy: *x\n", "deploy.namespace", "c", fault.Conflict},
		{"through a value", "name: a\nx: b\n", "x.y", "c", fault.Conflict},
		{"a value that the rules refuse", "name: a\n", "name", "Not A Name", fault.Usage},
		{"a value that is no text", "name: a\nimage: b\n", "image", "\xff", fault.Conflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.source)
			err := f.Set(tt.path, tt.value)
			if err == nil || fault.KindOf(err) != tt.kind {
				t.Errorf("got %v (%v)\n%s", err, fault.KindOf(err), f.Bytes())
			}
			if string(f.Bytes()) != tt.source {
				t.Errorf("the file changed:\n%s", f.Bytes())
			}
		})
	}
}

// What nobody changed is written back as it was read, byte for byte.
func TestSetOfEveryPresentValueIsNoChange(t *testing.T) {
	f := parse(t, full)
	for path, value := range map[string]string{"name": f.Name, "image": f.Image, "namespace": f.Namespace, "deploy.namespace": f.Deploy.Namespace, "build.builder": f.Build.Builder, "deploy.options.scale.metric": "rps"} {
		if err := f.Set(path, value); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if diff := cmp.Diff(full, string(f.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, File)
	source := "name: a # mine\nimage: b\n"
	if err := os.WriteFile(file, []byte(source), 0o640); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(file)
	f, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(file); !os.SameFile(before, after) {
		t.Error("an unchanged file was written anew")
	}
	if err := f.Set("image", "c"); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	after, _ := os.Stat(file)
	if content, _ := os.ReadFile(file); string(content) != "name: a # mine\nimage: c\n" || after.Mode() != before.Mode() {
		t.Errorf("got %q, mode %v", content, after.Mode())
	}

	// Somebody else's change is not lost.
	if err := os.WriteFile(file, []byte("name: z\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := f.Set("image", "d"); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
	if content, _ := os.ReadFile(file); string(content) != "name: z\n" {
		t.Errorf("overwritten with %q", content)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// Any bytes at all end in a function or in problems with places, and an edit
// of the good ones changes what it should and nothing else.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(full))
	for _, seed := range []string{
		"", "name: a\n", "name: a\r\nimage: 'b'\r\n", "\xef\xbb\xbfname: a", "name: &n a\nimage: *n\n", "? a\n: b\n", "name: a\n<<: {image: b}\n", "name: |\n  a\n",
		"name: a\nrun: {envs: [{name: X, value: '{{ secret:s:k }}'}]}\n", "- a\n", "name: a\n---\n", "%YAML 1.1\n---\nname: a\n", "name: a # c\n#d\ndeploy:\n  # e\n  remote: on\n", "{name: a}",
		"specVersion: 0.25.0\nname: a\nbuild: local\nenvs:\n- name: A\n  value: 1\n", "name: a\nimage: \"\\x41\\\n  b\"\n", "!!map {name: a}", "name: a\nx: [*y, &y {}]\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		function := &Function{}
		problems := function.check(source)
		lines := bytes.Count(source, []byte("\n")) + 1
		for _, p := range append(problems, function.Warnings...) {
			if p.Line < 1 || p.Line > lines || p.Col < 1 || p.Message == "" {
				t.Fatalf("no such place: %+v", p)
			}
		}
		if len(problems) > 0 {
			return
		}
		if !bytes.Equal(function.Bytes(), source) {
			t.Fatal("the bytes changed on the way in")
		}
		if err := function.Set("namespace", "edited"); err != nil {
			return
		}
		if function.Namespace != "edited" {
			t.Fatalf("set to edited, got %q", function.Namespace)
		}
		if err := function.Validate(); err != nil {
			t.Fatalf("the edit broke the file: %v", err)
		}
		for line := range strings.Lines(string(source)) {
			if strings.HasPrefix(line, "#") && !bytes.Contains(function.Bytes(), []byte(line)) {
				t.Fatalf("lost %q", line)
			}
		}
	})
}
