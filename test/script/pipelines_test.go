//go:build unix

package script

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// pipeline is a machine of a CI system: a home, variables, and a cluster.
type pipeline struct {
	t    *testing.T
	work string
	env  []string
}

func newPipeline(t *testing.T, env ...string) *pipeline {
	t.Helper()
	work := t.TempDir()
	env = append(env, toolenv.Home(filepath.Join(work, "home"))...)
	return &pipeline{t: t, work: work, env: append(append(env, "PATH="+os.Getenv("PATH")), promptCluster(t)...)}
}

// bash runs a script as runners do, and returns what it printed and its exit code.
func (p *pipeline) bash(script string, env ...string) (string, int) {
	p.t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = p.work, append(append([]string{}, p.env...), env...)
	out, err := cmd.CombinedOutput()
	exit, ended := errors.AsType[*exec.ExitError](err)
	if err != nil && !ended {
		p.t.Fatal(err)
	}
	if ended {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

func (p *pipeline) file(name string) string {
	p.t.Helper()
	raw, err := os.ReadFile(filepath.Join(p.work, name))
	if err != nil {
		p.t.Error(err)
	}
	return string(raw)
}

func readYAML(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// The scripts of the action in docs/ci do what its inputs say, and its outputs are
// among those that kn-lite writes.
func TestPipelinesGitHub(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/ci/github/action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Outputs map[string]struct{ Value string }
		Runs    struct{ Steps []struct{ Name, Run string } }
	}
	readYAML(t, raw, &action)
	steps := map[string]string{}
	for _, s := range action.Runs.Steps {
		steps[s.Name] = s.Run
		if strings.Contains(s.Run, "${{") {
			t.Errorf("%s: what comes from outside is a part of the script", s.Name)
		}
	}
	server := regtest.New()
	server.Auth, server.User, server.Password = "basic", "ada", "lovelace"
	host, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	p := newPipeline(t, "GITHUB_ACTIONS=true", "CI=true")
	p.env = append(p.env, "GITHUB_OUTPUT="+p.work+"/outputs", "GITHUB_ENV="+p.work+"/environment", "RUNNER_TEMP="+p.work)

	if said, code := p.bash(steps["Log in"], "REGISTRY="+host+"/team", "USERNAME=ada", "PASSWORD=lovelace"); code != 0 {
		t.Errorf("log in: exit %d: %s", code, said)
	}
	if said, code := p.bash(steps["Log in"], "REGISTRY="+host+"/team", "USERNAME=ada", "PASSWORD=wrong"); code != 4 || strings.Contains(said, "wrong") {
		t.Errorf("log in with a wrong password: exit %d: %s", code, said)
	}
	p.bash(steps["Cluster"], "CONTENT=apiVersion: v1\nkind: Config")
	if p.file("kn-lite-kubeconfig") != "apiVersion: v1\nkind: Config\n" || p.file("environment") != "KUBECONFIG="+p.work+"/kn-lite-kubeconfig\n" {
		t.Error("the kubeconfig is not where the next step looks for it")
	}
	said, code := p.bash(steps["Run"], "REGISTRY=", "COMMAND=describe hello")
	if code != 0 || !strings.Contains(p.file("outputs"), "\nhttp://hello.demo.example.com\n") {
		t.Errorf("run: exit %d: %s", code, said)
	}
	said, code = p.bash(steps["Run"], "REGISTRY=", "COMMAND=describe hello; touch harm $(touch harm)")
	if _, err := os.Stat(filepath.Join(p.work, "harm")); err == nil || code != 2 {
		t.Errorf("a command that is more than its words: exit %d: %s", code, said)
	}
	said, code = p.bash(steps["Run"], "REGISTRY=", "COMMAND=describe nobody")
	if code != 5 || !strings.Contains(said, "::error title=kn-lite describe::") {
		t.Errorf("a failure: exit %d: %s", code, said)
	}
	for name, output := range action.Outputs {
		if output.Value != "${{ steps.run.outputs."+name+" }}" {
			t.Errorf("output %s is %s", name, output.Value)
		}
	}
}

// So do those of the component for GitLab.
func TestPipelinesGitLab(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/ci/gitlab/templates/kn-lite.yml")
	if err != nil {
		t.Fatal(err)
	}
	header, jobs, found := strings.Cut(string(raw), "\n---\n")
	if !found {
		t.Fatal("it is no component: its inputs are not a document of their own")
	}
	var spec struct {
		Spec struct {
			Inputs map[string]struct{ Default string }
		}
	}
	readYAML(t, []byte(header), &spec)
	jobs = regexp.MustCompile(`\$\[\[ inputs\.(\w+) \]\]`).ReplaceAllStringFunc(jobs, func(use string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(use, "$[[ inputs."), " ]]")
		input, known := spec.Spec.Inputs[name]
		if !known {
			t.Errorf("there is no input %s", name)
		}
		return `"` + input.Default + `"`
	})
	var all map[string]struct {
		Before    []string `json:"before_script"`
		Script    []string
		Artifacts struct{ Reports struct{ Dotenv string } }
	}
	readYAML(t, []byte(jobs), &all)
	p := newPipeline(t, "GITLAB_CI=true", "CI=true", "CI_MERGE_REQUEST_IID=7", "KN_LITE_VERSION_WANTED=", "KN_LITE_FOLDER=app")
	p.env = append(p.env, "CI_PROJECT_DIR="+p.work)
	if err := os.MkdirAll(filepath.Join(p.work, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.work, "app/func.yaml"), []byte("specVersion: 0.36.0\nname: hello\nruntime: go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := strings.Join(all[".kn-lite"].Before, "\n") + "\n"
	said, code := p.bash(before + strings.Join(all["kn-lite-preview-end"].Script, "\n"))
	if code != 0 || !strings.Contains(said, "hello has no preview of pull request 7") {
		t.Errorf("the end of a preview: exit %d: %s", code, said)
	}
	if said, code = p.bash(before + "kn-lite describe --ci gitlab"); code != 0 {
		t.Errorf("describe: exit %d: %s", code, said)
	}
	report := p.file(all[".kn-lite"].Artifacts.Reports.Dotenv)
	if !strings.Contains(report, "KN_LITE_OUTPUT_URL=http://hello.demo.example.com\n") {
		t.Errorf("the report: %s", report)
	}
	for _, job := range []string{"kn-lite-deploy", "kn-lite-preview"} {
		for _, line := range all[job].Script {
			said, code := p.bash(line + " --help")
			if code != 0 || !strings.Contains(said, "Usage:") {
				t.Errorf("%s: %q: exit %d: %s", job, line, code, said)
			}
		}
	}
}
