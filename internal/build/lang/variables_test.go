package lang

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSelect(t *testing.T) {
	v := Variables{Inputs: []string{"TOOL_*", "FLAGS"}, Means: []string{"TOOL_CACHE", "TOOL_TOKEN_*"}}
	environ := []string{
		"PATH=/bin", "HOME=/home/ada", "TZ=Asia/Tokyo", "LC_ALL=de_DE.UTF-8", "LANG=de_DE.UTF-8", "USER=ada", "PUBLIC_API_URL=https://staging.example",
		"TOOL_CACHE=/c", "TOOL_TOKEN_X=secret", "TOOL_MODE=fast", "FLAGS=-O2", "FLAGSHIP=no", "https_proxy=http://proxy.example", "SOURCE_DATE_EPOCH=5",
	}
	seen, withheld := v.Select(environ)
	want := []string{
		"TZ=UTC", "LC_ALL=C.UTF-8", "PATH=/bin", "HOME=/home/ada", "TOOL_CACHE=/c", "TOOL_TOKEN_X=secret", "TOOL_MODE=fast", "FLAGS=-O2",
		"https_proxy=http://proxy.example", "SOURCE_DATE_EPOCH=5",
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Error(d)
	}
	if want := []string{"TZ", "LC_ALL", "LANG", "USER", "PUBLIC_API_URL", "FLAGSHIP"}; !slices.Equal(withheld, want) {
		t.Errorf("withheld %v", withheld)
	}
	if d := cmp.Diff([]Fact{{"FLAGS", "-O2"}, {"TOOL_MODE", "fast"}}, v.Facts(environ)); d != "" {
		t.Error(d)
	}
}

// A password in an address does not count, the address does.
func TestFactsHaveNoPasswords(t *testing.T) {
	v := Variables{Inputs: []string{"TOOL_INDEX"}}
	got := v.Facts([]string{"TOOL_INDEX=https://me:canary@index.example/a https://token@other.example"})
	if d := cmp.Diff([]Fact{{"TOOL_INDEX", "https://index.example/a https://other.example"}}, got); d != "" {
		t.Error(d)
	}
}

func TestReferencedVariables(t *testing.T) {
	text := "<password>${env.NEXUS_PASSWORD}</password>\n//registry.example/:_authToken=${NPM_TOKEN}\n_auth=${OTHER?}\n$PLAIN ${} ${user.home}\n"
	if got, want := ReferencedVariables([]byte(text)), []string{"NEXUS_PASSWORD", "NPM_TOKEN", "OTHER"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
