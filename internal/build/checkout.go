package build

import (
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/lang"
)

// Checkout is the commit that dir is a clean checkout of; nil when it is none,
// when something in dir differs from the commit, and when git is not there to
// ask. No hook is run, and nothing is written.
func Checkout(ctx context.Context, dir string, environ []string) *attest.Source {
	tool, err := exec.LookPath("git")
	if err != nil {
		return nil
	}
	null := os.DevNull
	git := func(args ...string) (string, bool) {
		args = append([]string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + null, "-c", "core.untrackedCache=false"}, args...)
		out, err := lang.Run(ctx, dir, lang.With(environ, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0"), tool, args...)
		return strings.TrimSpace(out), err == nil
	}
	said, ok := git("rev-parse", "--show-prefix", "--verify", "HEAD")
	if !ok {
		return nil
	}
	prefix, commit, ok := strings.Cut(said, "\n")
	if !ok { // at the top the first line is empty, and trimmed away
		prefix, commit = "", said
	}
	if commit == "" || strings.Trim(commit, "0123456789abcdef") != "" {
		return nil
	}
	// A folder that the repository ignores is clean without being in the commit.
	if tracked, ok := git("ls-files", "--", "."); !ok || tracked == "" {
		return nil
	}
	if changes, ok := git("status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none", "--", "."); !ok || changes != "" {
		return nil
	}
	source := &attest.Source{Commit: commit, Folder: strings.TrimSuffix(prefix, "/")}
	if remote, ok := git("config", "--get", "remote.origin.url"); ok {
		source.Remote = attest.RemoteURL(remote)
	}
	return source
}
