package lang

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// WithoutToolchain are the other ways to an image.
const WithoutToolchain = "or with nothing but a Dockerfile: {Builder} dockerfile here, {Builder} cluster in the cluster\n" +
	"or deploy an image that is built already: kn-lite deploy {Image} REF"

// FindTool finds a program of the host's toolchain. When it is not there, the
// hint is how to get it, such as "install Go from https://go.dev/dl", and the
// ways that need no toolchain here.
func FindTool(language, name, hint string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fault.New(fault.Conflict, "build."+language, name, "the program %q is needed to build this and is not in PATH", name).
			WithHint("%s\n%s", hint, WithoutToolchain)
	}
	return path, nil
}

// Run runs program in dir and returns what it wrote, both streams in one. The
// error is an *exec.ExitError when it ran and did not succeed. Cancelling ctx
// interrupts it; it has five seconds to clean up before it is killed.
func Run(ctx context.Context, dir string, environ []string, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	// Tools that resolve links in their working folder would print other paths.
	cmd.Env = With(environ, "PWD="+dir)
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		return out.String(), ctx.Err()
	}
	return out.String(), err
}

// With is environ with the settings KEY=value, in place of those it had.
func With(environ []string, settings ...string) []string {
	out := slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	})
	return append(out, settings...)
}

// Lookup is the value of a variable in environ, or "".
func Lookup(environ []string, name string) string {
	for _, kv := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
