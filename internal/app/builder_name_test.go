package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// The builder that was named, the variable, func.yaml, the user's file; func's own
// builders are none of ours unless there is a plugin of that name.
func TestBuilderName(t *testing.T) {
	plugins := t.TempDir()
	if err := os.WriteFile(filepath.Join(plugins, "kn-lite-builder-s2i"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("builder: kaniko\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		named, variable, project, file string
		want                           string
	}{
		{"auto", "cluster", "layers", file, "auto"},
		{"", "cluster", "layers", file, "cluster"},
		{"", "", "layers", file, "layers"},
		{"", "", "pack", file, "kaniko"},
		{"", "", "s2i", file, "s2i"},
		{"", "", "", file, "kaniko"},
		{"", "", "pack", os.DevNull, ""},
	} {
		env := func(name string) string {
			return map[string]string{"KN_LITE_CONFIG": tt.file, "KN_LITE_BUILDER": tt.variable, "PATH": plugins}[name]
		}
		a := &App{Env: env, Settings: func() (*settings.Settings, error) { return settings.Load(settings.Sources{Env: env}) }}
		project := &function.Function{Build: function.Build{Builder: tt.project}}
		got, err := a.builderName(&BuildRequest{Project: project, BuildOptions: BuildOptions{Builder: tt.named}})
		if err != nil || got != tt.want {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}
