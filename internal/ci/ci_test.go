package ci

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestChoose(t *testing.T) {
	for _, tt := range []struct {
		wanted string
		env    map[string]string
		want   System
	}{
		{"auto", nil, None},
		{"auto", map[string]string{"CI": "true"}, None},
		{"auto", map[string]string{"GITHUB_ACTIONS": "true", "CI": "true"}, GitHub},
		{"auto", map[string]string{"GITHUB_ACTIONS": "false"}, None},
		{"auto", map[string]string{"GITLAB_CI": "true"}, GitLab},
		{"none", map[string]string{"GITLAB_CI": "true"}, None},
		{"gitlab", nil, GitLab},
		{"github", map[string]string{"GITLAB_CI": "true"}, GitHub},
	} {
		if got, err := Choose(tt.wanted, func(name string) string { return tt.env[name] }); got != tt.want || err != nil {
			t.Errorf("%s with %v: %s, %v", tt.wanted, tt.env, got, err)
		}
	}
	if _, err := Choose("jenkins", func(string) string { return "" }); fault.KindOf(err) != fault.Usage {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestOutputs(t *testing.T) {
	got := Outputs(map[string]any{
		"apiVersion": "v1", "kind": "Deployment", "image": "reg.example/fn@sha256:11", "tagURL": "http://pr-fn.example", "ready": true,
		"generation": 12345678, "outcome": "unchanged", "traffic": []int{1}, "latestReadyRevision": "fn-v1", "url": "",
		"long": strings.Repeat("x", 5000),
	})
	want := []Output{
		{"changed", "false"},
		{"digest", "sha256:11"},
		{"generation", "12345678"},
		{"image", "reg.example/fn@sha256:11"},
		{"latest-ready-revision", "fn-v1"},
		{"outcome", "unchanged"},
		{"ready", "true"},
		{"tag-url", "http://pr-fn.example"},
		{"url", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, none := range []any{nil, "text", []int{1}, map[string]any{"kind": "Response", "body": "x"}, func() {}} {
		if got := Outputs(none); len(got) != 0 {
			t.Errorf("%T: %v", none, got)
		}
	}
}

func TestGitHubOutput(t *testing.T) {
	got := GitHubOutput([]Output{{"url", "http://x"}, {"text", "two\nlines"}}, "end-1")
	if want := "url<<end-1\nhttp://x\nend-1\ntext<<end-1\ntwo\nlines\nend-1\n"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestDotenv(t *testing.T) {
	first := Dotenv("", []Output{{"tag-url", "http://x?a=b"}, {"image", "two\nlines"}, {"message", "words"}})
	if first != "KN_LITE_OUTPUT_TAG_URL=http://x?a=b\n" {
		t.Errorf("first: %q", first)
	}
	second := Dotenv("OWN=1\n"+first, []Output{{"tag-url", "http://y"}, {"url", "http://z"}})
	if second != "OWN=1\nKN_LITE_OUTPUT_TAG_URL=http://y\nKN_LITE_OUTPUT_URL=http://z\n" {
		t.Errorf("second: %q", second)
	}
}

func TestAnnotation(t *testing.T) {
	for want, a := range map[string]Annotation{
		"::error::100%25 wrong%0A::set-env name=x::y":                                       {Message: "100% wrong\n::set-env name=x::y"},
		"::error file=a%2Cb%3Ac/func.yaml,line=3,col=7,title=kn-lite deploy::run.envs: bad": {File: "a,b:c/func.yaml", Line: 3, Col: 7, Title: "kn-lite deploy", Message: "run.envs: bad"},
		"::error file=Dockerfile::bad":                                                      {File: "Dockerfile", Message: "bad"},
	} {
		if got := a.GitHub(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Whatever an error says, its annotation is one line, and begins with its own command.
func TestAnnotationIsOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Annotation{File: rapid.String().Draw(t, "file"), Title: rapid.String().Draw(t, "title"), Message: rapid.String().Draw(t, "message")}
		line := a.GitHub()
		if strings.ContainsAny(line, "\r\n") || !strings.HasPrefix(line, "::error") {
			t.Fatalf("%q", line)
		}
		head, _, _ := strings.Cut(strings.TrimPrefix(line, "::"), "::")
		if strings.Contains(head, ":") {
			t.Fatalf("%q ends its properties early", line)
		}
	})
}

func TestSummary(t *testing.T) {
	got := Summary("kn-lite deploy", []Output{{"url", "http://x|y"}, {"note", "<b>\n# x"}}, "", "")
	if want := "### kn-lite deploy\n\n| | |\n|---|---|\n| url | http://x\\|y |\n| note | &lt;b> \\# x |\n\n"; got != want {
		t.Errorf("got %q", got)
	}
	got = Summary("kn-lite deploy: exit code 3", nil, "it crashes\n```\n# x", "mend it")
	if want := "### kn-lite deploy: exit code 3\n\n```text\nit crashes\n'''\n# x\n```\n\n```text\nmend it\n```\n\n"; got != want {
		t.Errorf("got %q", got)
	}
}
