package build

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/key"
)

func TestPlanSummary(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)}
	e := &Explanation{
		Language: "node", Style: "script", Entrypoint: []string{"node", "."}, WorkingDir: "/app", Base: "node:22", BaseDigest: digest,
		Platforms: []PlannedPlatform{{Platform: v1.Platform{OS: "linux", Architecture: "arm64"}, Layers: []PlannedLayer{{Name: "app", From: "sources", Known: true}}}},
		NoKey:     "a link leaves the folder",
	}
	raw, err := json.Marshal(e.Summarize())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"language":"node","style":"script","entrypoint":["node","."],"workingDir":"/app","base":{"name":"node:22","digest":"` + digest.String() +
		`"},"platforms":[{"platform":"linux/arm64","layers":[{"name":"app","from":"sources","known":true}]}],"noKey":"a link leaves the folder","verdict":"build","changes":[],"earlier":false}`
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Error(diff)
	}
	e.Key, e.NoKey, e.Digest, e.Base = &key.Key{Parts: []key.Part{{Name: "go", Value: "1.26"}}}, "", digest, ""
	got := e.Summarize()
	if got.Verdict != "unchanged" || got.Digest != digest.String() || got.Base != nil || got.Key.Digest != e.Key.String() || len(got.Key.Parts) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestVerdictLines(t *testing.T) {
	var files []string
	for i := range maxNamedFiles + 2 {
		files = append(files, fmt.Sprintf("changed f%02d", i))
	}
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		name string
		plan PlanSummary
		want string
	}{
		{"first build", PlanSummary{Verdict: "build"}, "nothing is known of an earlier build of this folder\nbuild: no earlier build here had this key"},
		{"the same", PlanSummary{Verdict: "unchanged", Digest: "sha256:1", Earlier: true}, "unchanged: sha256:1 was built from the same input"},
		{"settings", PlanSummary{Verdict: "build", Earlier: true, Changes: []PlanChange{
			{Part: "GOFLAGS", After: "-tags=x"}, {Part: "GOOS", Before: "linux"}, {Part: "go", Before: "1.25", After: long},
		}}, "changed since the last build of this folder:\n  GOFLAGS: new, -tags=x\n  GOOS: gone, was linux\n  go: 1.25 → " + long[:59] + "…\nbuild: no earlier build here had this key"},
		{
			"files",
			PlanSummary{Verdict: "build", Earlier: true, Changes: []PlanChange{{Part: "files of .", Files: files}}},
			"changed since the last build of this folder:\n  files of .\n    " + strings.Join(files[:maxNamedFiles], "\n    ") + "\n    and 2 more\nbuild: no earlier build here had this key",
		},
	} {
		if diff := cmp.Diff(tt.want, strings.Join(tt.plan.VerdictLines(), "\n")); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
