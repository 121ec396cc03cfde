//go:build unix

package build

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func TestAskedFor(t *testing.T) {
	code := `
const url = process.env.PUBLIC_API_URL, key = process.env["API_KEY"], v = import.meta.env.VITE_MODE
const { STAGE, REGION = "eu", ZONE: zone } = process.env
const V: &str = env!("BUILD_ID"); let o = option_env!( "FLAVOUR" ); std::env::var("HOST_NAME"); std::env::var_os("OTHER")
println!("cargo:rerun-if-env-changed=RERUN")
<version>${env.REVISION}</version> System.getenv("JAVA_STAGE") providers.environmentVariable("GRADLE_STAGE")
os.environ["PY_A"], os.environ.get('PY_B'), os.getenv("PY_C")
let environment = variable("NOT_THIS")
`
	want := []string{
		"API_KEY", "BUILD_ID", "FLAVOUR", "GRADLE_STAGE", "HOST_NAME", "JAVA_STAGE", "OTHER", "PUBLIC_API_URL", "PY_A", "PY_B", "PY_C", "REGION", "RERUN",
		"REVISION", "STAGE", "VITE_MODE", "ZONE",
	}
	got := askedFor([]byte(code))
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// runner is fickle, and runs code of the project.
type runner struct{ fickle }

func (runner) Variables(*lang.Project) lang.Variables { return lang.Variables{RunsCode: true} }

// What a build does not see is not in the image, and the user hears of it where
// the code asks for it.
func TestWithheldVariables(t *testing.T) {
	var reported progresstest.Recorder
	s := keyedSpec(t, project(t, file{"build.mjs", "write(process.env.PUBLIC_API_URL, process.env.STAGE, process.env.HOME)"}))
	s.Progress = &reported
	s.Environ = append(os.Environ(), "CI=", "PUBLIC_API_URL=https://staging.example", "STAGE=one", "UNRELATED=x")
	s.BuildEnv = []string{"STAGE=two"}
	var seen []string
	s.language = runner{fickle{hear: func(p *lang.Project) { seen = p.Environ }}}
	if _, err := Build(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	if lang.Lookup(seen, "PUBLIC_API_URL") != "" || lang.Lookup(seen, "STAGE") != "two" || lang.Lookup(seen, "TZ") != "UTC" || lang.Lookup(seen, "HOME") == "" {
		t.Errorf("the build sees %v", seen)
	}
	said := reported.Texts(progresstest.Note)
	if len(said) != 1 || !strings.Contains(said[0], "the build does not see this machine's PUBLIC_API_URL, which") || !strings.Contains(said[0], "build.buildEnvs") {
		t.Errorf("notes: %q", said)
	}
}
