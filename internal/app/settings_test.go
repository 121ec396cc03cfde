package app

import (
	"os"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// settingsApp returns the use cases in a folder with a func.yaml, and the sources that
// an environment and flags are.
func settingsApp(t *testing.T, project string, env map[string]string, flags map[string]settings.Given) (*App, settings.Sources, *progresstest.Recorder) {
	t.Helper()
	t.Chdir(writeFiles(t, map[string]string{"func.yaml": project}))
	p := newPlatform(t)
	if env == nil {
		env = map[string]string{}
	}
	env["HOME"] = t.TempDir()
	a, seen := p.app(env)
	return a, settings.Sources{Env: a.Env, Flags: flags}, seen
}

func explain(t *testing.T, s *settings.Settings, key string) string {
	t.Helper()
	found, err := s.Explain(key)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", key, found, err)
	}
	out := found[0].Text() + " from " + found[0].Source.String()
	for _, other := range found[0].Overrules {
		out += " over " + other.Text() + " from " + other.Source.String()
	}
	return out
}

// Each place that says something about a setting of this folder is found, in its order.
func TestSettingsHere(t *testing.T) {
	a, sources, _ := settingsApp(t, "name: hello\nruntime: node\nregistry: reg.example/me\nnamespace: team\nbuild:\n  builder: layers\n  baseImage: mirror.example/node\n",
		map[string]string{"KN_LITE_REGISTRY": "env.example/me"}, map[string]settings.Given{"builder": {Value: "cluster", Name: "--builder"}})
	s, err := a.SettingsHere(sources)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"namespace":       "team from func.yaml:4:12 over default from kubeconfig context c",
		"baseImages.node": "mirror.example/node from func.yaml:7:14",
	} {
		if got := explain(t, s, key); !strings.HasPrefix(got, want) {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	if got := explain(t, s, "registry"); !strings.HasPrefix(got, "env.example/me from ") || !strings.Contains(got, "KN_LITE_REGISTRY over reg.example/me from func.yaml:3:11") {
		t.Errorf("registry is %s", got)
	}
	if got := explain(t, s, "builder"); !strings.HasPrefix(got, "cluster from flag --builder over layers from func.yaml:6:12") {
		t.Errorf("builder is %s", got)
	}
	if got := explain(t, s, "baseImages.python"); strings.Contains(got, "mirror.example") {
		t.Errorf("the base image of another language: %s", got)
	}
}

// A builder of func's that is none of ours says nothing here.
func TestSettingsOfFunc(t *testing.T) {
	a, sources, _ := settingsApp(t, "name: hello\nruntime: node\nbuild:\n  builder: pack\n", nil, nil)
	s, err := a.SettingsHere(sources)
	if err != nil {
		t.Fatal(err)
	}
	if got := explain(t, s, "builder"); strings.Contains(got, "pack") {
		t.Error(got)
	}
}

func TestSetSetting(t *testing.T) {
	a, sources, seen := settingsApp(t, "name: hello\nregistry: reg.example/me\n", nil, nil)
	done, err := a.SetSetting(t.Context(), sources, "registry", "mine.example/me")
	if err != nil || !done.Changed || len(done.Now) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if over := done.Overruled(); len(over) != 1 || over[0].Text() != "reg.example/me" {
		t.Errorf("func.yaml overrules it: %+v", over)
	}
	if done, err = a.SetSetting(t.Context(), sources, "registry", "mine.example/me"); err != nil || done.Changed {
		t.Errorf("again: %+v, %v", done, err)
	}
	if done, err = a.SetSetting(t.Context(), sources, "namespace", "mine"); err != nil || len(done.Overruled()) != 0 || done.Now[0].Text() != "mine" {
		t.Errorf("nothing overrules it: %+v, %v", done, err)
	}
	if done, err = a.UnsetSetting(t.Context(), sources, "registry"); err != nil || !done.Changed || done.Now[0].Text() != "reg.example/me" {
		t.Errorf("unset: %+v, %v", done, err)
	}
	if lines := strings.Join(seen.Lines(), "\n"); !strings.Contains(lines, "step changed registry in "+done.File) || !strings.Contains(lines, "note registry is so already: nothing was changed in "+done.File) {
		t.Error(lines)
	}
	if _, err := a.SetSetting(t.Context(), sources, "no.such", "x"); err == nil {
		t.Error("a setting that there is none of was set")
	}
}

// The change holds also where what commands use is not known.
func TestSetSettingBesideBrokenProject(t *testing.T) {
	a, sources, seen := settingsApp(t, "name: [", nil, nil)
	done, err := a.SetSetting(t.Context(), sources, "namespace", "mine")
	if err != nil || !done.Changed || len(done.Now) != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if raw, err := os.ReadFile(done.File); err != nil || !strings.Contains(string(raw), "namespace: mine") {
		t.Errorf("%s, %v", raw, err)
	}
	if warned := seen.Texts(progresstest.Warn); len(warned) != 1 || !strings.Contains(warned[0], "what commands use in this folder is not known") {
		t.Errorf("%q", warned)
	}
}
