package app

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

func TestResultSummaries(t *testing.T) {
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)}
	built := &BuildResult{Image: "r/a@sha256:1", Tag: "r/a:v1", Digest: "sha256:1", Language: "go", Unchanged: true, Platforms: []build.PlatformBuild{
		{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Layers: []build.LayerInfo{{Name: "application", Digest: digest, Size: 7, Cached: true}}},
		{Platform: v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}, Base: "b"},
	}}
	deployed := &DeployResult{Namespace: "demo", Service: "hello", Result: &deploy.Result{
		Outcome: deploy.Created, Revision: "hello-v1", Image: "r/a@sha256:1", URL: "http://hello", Ready: true, Split: traffic.Split{{Latest: true, Percent: 100}},
	}}
	for _, tt := range []struct {
		got  any
		want string
	}{
		{built.Summarize(), `{"image":"r/a@sha256:1","tag":"r/a:v1","digest":"sha256:1","language":"go","pushed":false,"unchanged":true,"platforms":[` +
			`{"platform":"linux/amd64","layers":[{"name":"application","digest":"` + digest.String() + `","size":7,"cached":true}]},{"platform":"linux/arm64/v8","base":"b","layers":[]}]}`},
		{deployed.Summarize(), `{"outcome":"created","service":"hello","namespace":"demo","revision":"hello-v1","image":"r/a@sha256:1","url":"http://hello","ready":true,` +
			`"traffic":[{"latestRevision":true,"percent":100}]}`},
		{(&DeployResult{Namespace: "demo", Service: "hello"}).Summarize(), `{"outcome":"","service":"hello","namespace":"demo","revision":"","image":"","ready":false,"traffic":[]}`},
	} {
		raw, err := json.Marshal(tt.got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, string(raw)); diff != "" {
			t.Error(diff)
		}
	}
}
