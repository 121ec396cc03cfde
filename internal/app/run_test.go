package app

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/devrun"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// runApp returns the use cases with this machine's toolchains and a home of their own.
func runApp(t *testing.T) (*App, *progresstest.Recorder) {
	t.Helper()
	vars := map[string]string{"HOME": t.TempDir(), "REGION": "north"}
	env := func(name string) string { return vars[name] }
	recorder := &progresstest.Recorder{}
	return &App{
		Settings: func() (*settings.Settings, error) { return settings.Load(settings.Sources{Env: env}) },
		Progress: recorder, Env: env, Vars: os.Environ(), Now: time.Now, Version: "v1.0.0",
	}, recorder
}

func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A program is started with func.yaml's variables and the request's over them, others
// find it while it runs, and its end leaves nothing.
func TestRun(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"func.yaml": `specVersion: 0.36.0
name: hello
runtime: go
run:
  envs:
  - {name: WHERE, value: '{{ env:REGION }}'}
  - {name: BOTH, value: $(WHERE)-$$1}
  - {name: TOKEN, value: '{{ secret:s:key }}'}
`,
		"go.mod":  "module hello\n\ngo 1.24\n",
		"main.go": "package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n\t\"os\"\n)\n\nfunc main() {\n\tanswer := os.Getenv(\"WHERE\") + \" \" + os.Getenv(\"BOTH\") + \" \" + os.Getenv(\"MORE\") + \" \" + os.Getenv(\"K_REVISION\")\n\tfmt.Println(http.ListenAndServe(\":\"+os.Getenv(\"PORT\"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })))\n}\n",
	})
	a, seen := runApp(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var answer string
	var found *devrun.Record
	err := a.Run(ctx, RunRequest{
		Dir: dir, Out: io.Discard, Err: io.Discard, Variables: []Variable{{Name: "WHERE", Value: "here"}, {Name: "MORE", Value: "a=b"}},
		AbsentHint: "say it yourself",
		Fault:      func(err error) { t.Error(err) },
		Served: func(r Running) error {
			defer cancel()
			if r.Name != "hello" || r.PID != os.Getpid() || r.Dir != dir || r.URL != "http://localhost:"+strconv.Itoa(r.Port) {
				t.Errorf("%+v", r)
			}
			response, err := http.Get(r.URL)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			answer = string(body)
			if err == nil {
				found, err = devrun.Find(settings.StateDir(a.Env), dir)
			}
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer != "here north-$1 a=b hello-local" {
		t.Errorf("the function answers %q", answer)
	}
	if found == nil || found.Name != "hello" {
		t.Errorf("while it ran, others found %+v", found)
	}
	if left, err := devrun.Find(settings.StateDir(a.Env), dir); left != nil || err != nil {
		t.Errorf("it has ended, and others find %+v, %v", left, err)
	}
	if stages, _ := filepath.Glob(filepath.Join(settings.CacheDir(a.Env), "run", "*")); len(stages) > 0 {
		t.Errorf("left: %v", stages)
	}
	if warned := seen.Texts(progresstest.Warn); !slices.Contains(warned, "run.envs: TOKEN: {{ secret:s:key }} is the cluster's and not here; say it yourself") {
		t.Errorf("warned %q", warned)
	}
}

func TestRunRefused(t *testing.T) {
	a, _ := runApp(t)
	for name, tt := range map[string]struct {
		files map[string]string
		kind  fault.Kind
		says  string
	}{
		"dockerfile": {map[string]string{"Dockerfile": "FROM scratch\n"}, fault.Usage, "only its Dockerfile says how it is started"},
		"func.yaml":  {map[string]string{"func.yaml": "name: Not/One\n"}, fault.Usage, "name"},
		"variable":   {map[string]string{"func.yaml": "name: hello\nruntime: node\nrun:\n  envs:\n  - {name: A, value: '{{ env:NOT_SET }}'}\n", "package.json": `{"scripts":{"start":"x"}}`}, fault.Usage, "NOT_SET"},
	} {
		err := a.Run(t.Context(), RunRequest{Dir: writeFiles(t, tt.files), Served: func(Running) error { t.Error(name + " serves"); return nil }})
		if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a place for it the function runs, and invoke is said not to find it.
func TestRunWithoutHome(t *testing.T) {
	a, seen := runApp(t)
	a.Env = func(string) string { return "" }
	if err := a.saveRun(Running{Name: "hello"})(); err != nil {
		t.Error(err)
	}
	if warned := seen.Texts(progresstest.Warn); len(warned) != 1 || !strings.Contains(warned[0], "set HOME, or XDG_STATE_HOME") {
		t.Errorf("warned %q", warned)
	}
}

func TestOverride(t *testing.T) {
	got := override([]string{"A=1", "B=2", "C=3"}, []Variable{{Name: "A", Unset: true}, {Name: "B", Value: "x=y"}, {Name: "B", Value: ""}, {Name: "D", Value: "4"}})
	if want := []string{"C=3", "B=", "D=4"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A note of a project that is built many times is said once.
func TestAbsentIsSaidOnce(t *testing.T) {
	a, seen := runApp(t)
	s := &runSource{app: a, request: &RunRequest{}, progress: progress.Once(seen)}
	for range 3 {
		s.absent("run.volumes: /data", "the volume")
	}
	if warned := seen.Texts(progresstest.Warn); !slices.Equal(warned, []string{"run.volumes: /data: the volume is the cluster's and not here"}) {
		t.Errorf("warned %q", warned)
	}
}
