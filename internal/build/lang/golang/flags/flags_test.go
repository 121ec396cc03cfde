package flags

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Flags{
		"":                     {},
		"-mod=vendor":          {},
		"--tags=a,b -tags=c":   {Tags: []string{"c"}},
		`"-tags=a b"`:          {Tags: []string{"a", "b"}},
		"-ldflags=-X=main.v=1": {Link: []string{"-X=main.v=1"}},
		`'-ldflags=-X main.version=1.2.3 -X "main.by=Ada L"' -v`: {Link: []string{`-X main.version=1.2.3 -X "main.by=Ada L"`}},
	} {
		if d := cmp.Diff(want, Parse(text)); d != "" {
			t.Errorf("%s: %s", text, d)
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
		if d := cmp.Diff([]string{"-ldflags=-s -w", want}, Flags{Link: []string{value}}.LinkArguments()); d != "" {
			t.Errorf("%s: %s", value, d)
		}
	}
}
