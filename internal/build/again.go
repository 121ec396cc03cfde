package build

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image/layout"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// The second build of Verify is a process of its own: the umask and the number of CPUs
// that Go uses are a process's, and other builds of this one must not meet them.
const (
	argAgain = "kn-lite-build-again"
	// envAgain is in the environment of that process, so that it starts no other one.
	envAgain = "KN_LITE_BUILD_AGAIN"
	// endWithin is what it has to end its tools, when nobody wants its result any more.
	endWithin = 10 * time.Second
)

// againOrder is what the second build needs to know of the first one.
type againOrder struct {
	Dir, Language string
	Platforms     []v1.Platform
	Base          string
	Bases         map[string]string
	Resolved      *v1.Hash // what the base means; nil when it has not been asked
	BaseImages    string   // a layout with manifests and configs of the bases; "" for none
	Epoch         time.Time
	Labels        map[string]string
	Environ       []string
	BuildEnv      []string
	CacheDir      string
	Builder       string
	Fresh         bool
	AnyLock       bool
	Documents     Documents
}

// Again runs the second build of Verify if that is what this process was started for,
// which main has to ask before all else. code is for os.Exit.
func Again(args []string, in io.Reader, out io.Writer) (code int, ours bool) {
	return again(args, in, out, func(string) lang.Language { return nil })
}

// again finds the language of a test in place of one that languages.go knows.
func again(args []string, in io.Reader, out io.Writer, language func(name string) lang.Language) (code int, ours bool) {
	if len(args) != 2 || args[1] != argAgain {
		return 0, false
	}
	setUmask(0o077)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report := progress.NewLines(out, time.Now)
	err := runAgain(ctx, in, report, language)
	if err == nil {
		return 0, true
	}
	failure := progress.Failure{Reason: fault.KindOf(err).String(), Message: err.Error(), Hint: fault.HintOf(err)}
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Err != nil {
		failure.Op, failure.Subject, failure.Message = e.Op, e.Subject, e.Err.Error()
	}
	report.Fail(failure)
	return 1, true
}

// runAgain builds what in orders, and leaves the image in the project's folder.
func runAgain(ctx context.Context, in io.Reader, report progress.Reporter, language func(name string) lang.Language) error {
	var order againOrder
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&order); err != nil {
		return err
	}
	// Whoever has ordered it keeps in open as long as it wants the result.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // any end is one
		cancel()
	}()
	spec := Spec{
		Dir: order.Dir, Language: order.Language, Platforms: order.Platforms, Base: order.Base, Bases: order.Bases,
		Epoch: order.Epoch, Labels: order.Labels, Environ: order.Environ, BuildEnv: order.BuildEnv, CacheDir: order.CacheDir,
		Builder: order.Builder, Fresh: order.Fresh, Documents: order.Documents, Now: time.Now, Progress: report,
		AnyLock:  order.AnyLock,
		AnyStart: true, // the first build has looked
		language: language(order.Language),
	}
	if order.BaseImages != "" {
		spec.Pull = order.base
	}
	prepared, err := Prepare(ctx, spec)
	if err != nil {
		return err
	}
	defer prepared.Close()
	if order.Resolved != nil {
		prepared.builder.resolved = *order.Resolved
	}
	result, err := prepared.Build(ctx)
	if err != nil {
		return err
	}
	return result.SaveLayout(order.Dir, "")
}

// base is a Puller whose images have no content in their layers: a build puts its own
// on top of them.
func (o *againOrder) base(_ context.Context, ref string, platform v1.Platform) (v1.Image, error) {
	reader := layout.NewReader(o.BaseImages)
	content, err := reader.Content()
	if err != nil {
		return nil, err
	}
	for _, d := range content.Images {
		if d.Platform != nil && d.Platform.Equals(platform) {
			return reader.Image(d)
		}
	}
	return nil, fault.New(fault.NotFound, "build.base", ref, "the first build had none for %s", platform)
}

// saveBases writes what is known of the base images into a layout in dir.
func (p *Prepared) saveBases(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	w := layout.Writer{Root: root}
	if err := w.Start(); err != nil {
		return err
	}
	p.builder.pull = func(ref string, platform v1.Platform) (v1.Image, error) {
		return p.builder.spec.Pull(ctx, ref, platform)
	}
	var all []v1.Descriptor
	for _, platform := range p.platforms {
		base, err := p.builder.base(platform)
		if err != nil {
			return err
		}
		if err := w.Image(base.image, func(v1.Hash) bool { return false }); err != nil {
			return err
		}
		mediaType, err := base.image.MediaType()
		if err != nil {
			return err
		}
		digest, err := v1.NewHash(base.digest)
		if err != nil {
			return err
		}
		all = append(all, v1.Descriptor{MediaType: mediaType, Digest: digest, Platform: &platform})
	}
	return w.Finish(all)
}

// orderAgain runs order in a process of its own, with the variables in environ.
func orderAgain(ctx context.Context, order *againOrder, environ []string, report progress.Reporter) error {
	if lang.Lookup(order.Environ, envAgain) != "" {
		return fault.New(fault.Failure, "build.verify", order.Dir, "this is the second build of another one already")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, argAgain)
	cmd.Env = lang.With(environ, envAgain+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Cancel, cmd.WaitDelay = stdin.Close, endWithin
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr tail
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	orderErr := json.NewEncoder(stdin).Encode(order)
	failure, readErr := progress.Replay(out, report)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failure != nil:
		kind, _ := fault.KindNamed(failure.Reason)
		e := fault.New(kind, failure.Op, failure.Subject, "%s", failure.Message)
		e.Hint = failure.Hint
		return e
	case err != nil:
		return fault.New(fault.Failure, "build.verify", order.Dir, "the second build did not end well: %w", err).WithHint("%s", stderr.text)
	}
	return errors.Join(orderErr, readErr)
}

// tail is the end of what a process writes.
type tail struct{ text string }

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.text += string(p)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(p), nil
}

// buildVaried builds a copy of the project in dir, as a process for which everything is
// different that must not matter.
func (p *Prepared) buildVaried(ctx context.Context, dir string) (*Result, error) {
	spec := &p.builder.spec
	temp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return nil, err
	}
	locale := "tr_TR.UTF-8" // where the capital of i is not I
	if lang.Lookup(spec.Environ, "LC_ALL") == locale {
		locale = "C"
	}
	order := &againOrder{
		Language: p.builder.language.Name(), Platforms: p.platforms, Base: spec.Base, Bases: spec.Bases,
		Epoch: spec.Epoch, Labels: spec.Labels, BuildEnv: spec.BuildEnv, CacheDir: filepath.Join(dir, "cache"), Builder: spec.Builder,
		Fresh: spec.Fresh, AnyLock: spec.AnyLock, Documents: spec.Documents,
		Environ: lang.With(spec.Environ, "TZ=Pacific/Chatham", "LC_ALL="+locale, "LANG="+locale, "GOMAXPROCS=1", "TMPDIR="+temp),
	}
	if p.builder.resolved != (v1.Hash{}) {
		order.Resolved = &p.builder.resolved
	}
	if p.builder.baseRef() != "" {
		order.BaseImages = filepath.Join(dir, "bases")
		if err := p.saveBases(ctx, order.BaseImages); err != nil {
			return nil, err
		}
	}
	var err error
	if order.Dir, err = p.copyTo(ctx, filepath.Join(dir, "another folder")); err != nil {
		return nil, err
	}
	procs := 1
	if runtime.GOMAXPROCS(0) == 1 {
		procs = 2
	}
	environ := lang.With(order.Environ, "GOMAXPROCS="+strconv.Itoa(procs))
	if err := orderAgain(ctx, order, environ, spec.Progress); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fault.New(fault.Build, "build.verify", p.builder.project.Label, "it builds here, and a copy in another folder does not: %w", err)
	}
	result, _, err := OpenLayout(ctx, order.Dir, spec.Pull)
	return result, err
}
