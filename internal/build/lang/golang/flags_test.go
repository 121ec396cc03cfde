package golang

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("GOFLAGS=-tags=written\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		flags string
		want  goFlags
	}{
		{"", goFlags{tags: []string{"written"}}},
		{"-mod=vendor", goFlags{}},
		{"--tags=a,b -tags=c", goFlags{tags: []string{"c"}}},
		{`"-tags=a b"`, goFlags{tags: []string{"a", "b"}}},
		{"-ldflags=-X=main.version=1.2.3", goFlags{link: []string{"-X=main.version=1.2.3"}}},
		{`'-ldflags=-X main.version=1.2.3 -X "main.by=Ada L"' -v`, goFlags{link: []string{`-X main.version=1.2.3 -X "main.by=Ada L"`}}},
	}
	for _, tt := range tests {
		environ := []string{"GOENV=" + file}
		if tt.flags != "" {
			environ = append(environ, "GOFLAGS="+tt.flags)
		}
		if d := cmp.Diff(tt.want, readFlags(environ), cmp.AllowUnexported(goFlags{})); d != "" {
			t.Errorf("%s: %s", tt.flags, d)
		}
	}
}

func TestLinkArguments(t *testing.T) {
	for value, want := range map[string]string{
		"-X main.version=1.2.3": "-ldflags=-s -w -X main.version=1.2.3",
		"-X=main.version=1":     "-ldflags=-s -w -X=main.version=1",
		"all=-X main.v=1":       "-ldflags=all=-s -w -X main.v=1",
		"./cmd/...=-v":          "-ldflags=./cmd/...=-s -w -v",
	} {
		if d := cmp.Diff([]string{"-ldflags=-s -w", want}, goFlags{link: []string{value}}.linkArguments()); d != "" {
			t.Errorf("%s: %s", value, d)
		}
	}
}
