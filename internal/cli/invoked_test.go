package cli

import (
	"context"
	"strings"
	"testing"
)

func TestInvokedAs(t *testing.T) {
	for argv0, want := range map[string]string{
		"kn-lite":                                  "kn-lite",
		"/usr/bin/kn-lite":                         "kn-lite",
		`kn-lite.exe`:                              "kn-lite",
		"/home/ada/.config/kn/plugins/kn-lite":     "kn lite",
		"/home/ada/.config/kn/plugins/other":       "kn-lite",
		"/home/ada/.krew/bin/kubectl-kn_lite":      "kubectl kn-lite",
		"kubectl-kn_lite.exe":                      "kubectl kn-lite",
		"/usr/local/bin/kubectl-kn-lite":           "kubectl kn lite",
		"/home/ada/kn-lite-1.0/renamed":            "kn-lite",
		"/home/ada/.config/kn/plugins/kn-lite/bin": "kn-lite",
	} {
		if got := invokedAs(argv0); got != want {
			t.Errorf("%s: %q, want %q", argv0, got, want)
		}
	}
}

// As a plugin, help, usage errors and hints show what works as it stands.
func TestPluginNames(t *testing.T) {
	for _, tt := range []struct {
		argv0 string
		args  string
		want  []string
	}{
		{"/bin/kubectl-kn_lite", "revision gc --help", []string{"kubectl kn-lite revision gc [SERVICE] [flags]"}},
		{"/bin/kubectl-kn_lite", "revsion", []string{"did you mean `kubectl kn-lite revision`?"}},
		{"/bin/kubectl-kn_lite", "build --nope", []string{"see `kubectl kn-lite build --help`"}},
		{"/home/ada/.config/kn/plugins/kn-lite", "--help", []string{"kn lite COMMAND", `Use "kn lite COMMAND --help"`}},
		{"/bin/kubectl-kn_lite", "describe", []string{"name it with --service NAME"}},
		{"/bin/kubectl_complete-kn_lite", "revision g", []string{"gc\tDelete old revisions"}},
		{"/bin/kn-lite", "revision gc --help", []string{"\n  kn-lite revision gc [SERVICE] [flags]"}},
	} {
		t.Chdir(t.TempDir())
		sys, stdout, stderr := testSystem(t, strings.Fields(tt.args)...)
		sys.Args[0] = tt.argv0
		Main(context.Background(), sys)
		said := stdout.String() + stderr.String()
		for _, want := range tt.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s %s lacks %q:\n%s", tt.argv0, tt.args, want, said)
			}
		}
	}
}

func TestHintsAsInvoked(t *testing.T) {
	sys, _, _ := testSystem(t)
	sys.Args[0] = "kubectl-kn_lite"
	root := newRootCmd(newFactory(sys))
	for text, want := range map[string]string{
		"see `kn-lite traffic show hello`": "see `kubectl kn-lite traffic show hello`",
		"or kn-lite -n demo deploy":        "or kubectl kn-lite -n demo deploy",
		"kn-lite runs here":                "kn-lite runs here",
		"an image of kn-lite":              "an image of kn-lite",
	} {
		if got := asInvoked(root, text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
