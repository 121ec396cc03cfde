package parts

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

// compiler runs `go build` in the devcluster module.
type compiler struct {
	source string
	log    io.Writer
	now    func() time.Time
	every  time.Duration // between two lines of progress
}

// buildFlags are chosen for a quick first compile. Leaving out DWARF saves a
// quarter of the compiler's CPU time; panics still have file and line.
// -trimpath and no VCS stamp make the binaries, and so the images' digests,
// depend on nothing but sources and toolchain.
func buildFlags() []string {
	return []string{"-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags", linkFlags()}
}

// linkFlags sets the version that Kubernetes' programs report. Knative's
// minimum-version check refuses a server that says "$Format:%H$".
func linkFlags() string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(KubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	flags := "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s -X %[1]s.gitTreeState=clean",
			pkg, KubernetesVersion, major, minor)
	}
	return flags
}

// buildEnv is the caller's environment with what must not vary set.
func buildEnv(environ []string) []string {
	env := append([]string{}, environ...)
	env = append(env, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if !slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, "GOGC=") }) {
		// Fewer collections in each compiler process: 10 % less CPU for 300 MB more.
		env = append(env, "GOGC=400")
	}
	return env
}

// build compiles commands into the folder out and reports what it took.
func (c *compiler) build(ctx context.Context, out string, commands []string) error {
	total, err := c.count(ctx, commands)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-v", "-o", out + string(os.PathSeparator)}, append(buildFlags(), commands...)...)
	cmd := c.command(ctx, args)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	cmd.Stdout = io.Discard
	started := c.now()
	c.say("compiling %d programs of %d packages; the first time takes long, later ones only link", len(commands), total)
	if err := cmd.Start(); err != nil {
		return &fault.Error{Op: "compile", Subject: "go", Err: err, Hint: "install Go 1.26 and have it in PATH"}
	}
	var done atomic.Int64
	stop := c.progress(&done, total, started)
	complaints := follow(pipe, &done)
	err = cmd.Wait()
	stop()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &fault.Error{Op: "compile", Subject: strings.Join(commands, " "), Err: err, Hint: strings.Join(complaints, "\n")}
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	c.say("compiled %d packages in %s (%s of CPU time), the rest was cached",
		done.Load(), c.now().Sub(started).Round(time.Second), cpu.Round(time.Second))
	return nil
}

func (c *compiler) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = c.source
	cmd.Env = buildEnv(os.Environ())
	// Interrupt lets go remove its work folder; after that it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// count is the number of packages that commands consist of.
func (c *compiler) count(ctx context.Context, commands []string) (int, error) {
	cmd := c.command(ctx, append([]string{"list", "-deps"}, commands...))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return bytes.Count(out, []byte("\n")), nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return 0, &fault.Error{Op: "compile", Subject: "go", Err: err, Hint: "install Go 1.26 and have it in PATH"}
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return 0, &fault.Error{Op: "list packages", Subject: c.source, Err: err, Hint: strings.TrimSpace(stderr.String())}
}

// follow counts the packages that `go build -v` names, one a line, and keeps
// the last other lines: they are the compiler's complaints.
func follow(r io.Reader, done *atomic.Int64) []string {
	const keep = 40
	var complaints []string
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line != "" && !strings.ContainsAny(line, " :#\t") {
			done.Add(1)
			continue
		}
		if strings.HasPrefix(line, "go: downloading ") {
			continue
		}
		complaints = append(complaints, line)
		if len(complaints) > keep {
			complaints = complaints[1:]
		}
	}
	_, _ = io.Copy(io.Discard, r) // an overlong line must not block go's pipe
	return complaints
}

// progress prints a line now and then until stop is called.
func (c *compiler) progress(done *atomic.Int64, total int, started time.Time) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	ticker := time.NewTicker(c.every)
	go func() {
		defer close(ended)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				c.say("%5d packages compiled, %d in all with the unchanged ones, %s", done.Load(), total, c.now().Sub(started).Round(time.Second))
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func (c *compiler) say(format string, args ...any) {
	fmt.Fprintf(c.log, "  "+format+"\n", args...)
}
