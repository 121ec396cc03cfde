package lang

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conf")
	text := "# a comment\n[global]\nindex-url = https://index.example\ncert = /etc/ca.pem\nfind-links =\n    /a\n    /b\n; another\n[install]\nno-binary=x\n" +
		"//registry.example/:_authToken=canary\n@scope:registry=https://registry.example\nCache=/c\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []Fact{{"conf [global]index_url", "https://index.example"}, {"conf [global]find_links", "\n/a\n/b"}, {"conf [install]no_binary", "x"}}
	if d := cmp.Diff(want, ReadSettings("conf", file, []string{"cert", "cache"})); d != "" {
		t.Error(d)
	}
	if got := ReadSettings("conf", file+"-absent", nil); got != nil {
		t.Errorf("%v", got)
	}
	if got := ReadSettings("conf", filepath.Dir(file), nil); len(got) != 1 || got[0].Value != "cannot be read" {
		t.Errorf("a folder: %v", got)
	}
}
