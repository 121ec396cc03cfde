// Command conformance runs Knative's own conformance tests, as the module proxy
// has them, against a platform that is up: it builds their images with kn-lite,
// makes the namespace that they want, runs the test binaries and compares what
// passed with what is known not to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// options say what is tested and how to reach it.
type options struct {
	facts      []string // what holds of the platform, as misses.txt names it
	kubeconfig string
	registry   string // HOST:PORT for this machine and for the platform
	digests    bool   // images by digest: the platform does not resolve tags of this registry
	gateway    string // NAMESPACE/NAME of the ingress's Service; empty: the ingress is at ingress
	ingress    string // address of the ingress
	knLite     string
	sources    string // folder in which the images are built; what it holds makes the next run faster
	logs       string
	run        string // only tests that match
	parallel   int
	keep       bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parseFlags()); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func parseFlags() options {
	var o options
	var facts string
	flag.StringVar(&facts, "facts", "", "comma-separated: the platform and what holds of it, for misses.txt")
	flag.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "the platform")
	flag.StringVar(&o.registry, "registry", "", "HOST:PORT of a registry that this machine and the platform reach")
	flag.BoolVar(&o.digests, "digests", false, "name images by digest")
	flag.StringVar(&o.gateway, "gateway", "", "NAMESPACE/NAME of the ingress's Service")
	flag.StringVar(&o.ingress, "ingress", "", "address of the ingress, where no Service has it")
	flag.StringVar(&o.knLite, "kn-lite", "kn-lite", "the kn-lite that builds the images")
	flag.StringVar(&o.sources, "sources", "images", "folder to build the images in; one that stays makes the next run faster")
	flag.StringVar(&o.logs, "logs", ".", "folder for the whole output of the tests")
	flag.StringVar(&o.run, "run", ".", "only tests that match this regular expression")
	flag.IntVar(&o.parallel, "parallel", 6, "tests at the same time; most of them wait")
	flag.BoolVar(&o.keep, "keep", false, "leave the namespace and what is in it")
	flag.Parse()
	o.facts = strings.Split(facts, ",")
	return o
}

func run(ctx context.Context, o options) (err error) {
	misses, err := readMisses("misses.txt", o.facts)
	if err != nil {
		return err
	}
	suites, images, err := listTools(ctx)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	references, err := buildImages(ctx, o, images)
	if err != nil {
		return err
	}
	space, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	if !o.keep {
		// Also after Ctrl-C.
		defer func() { err = errors.Join(err, space.remove(context.WithoutCancel(ctx))) }()
	}
	arguments := testFlags(o, space, imageTemplate(o, references))
	var all []verdict
	for _, s := range suites {
		results, err := s.run(ctx, o, work, arguments, space.environment())
		if err != nil {
			return err
		}
		if len(results) == 0 {
			continue // none matches
		}
		verdicts := judge(results, misses)
		printTable(os.Stdout, s.name(), verdicts)
		all = append(all, verdicts...)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.run == "." {
		if unknown := misses.unused(all); len(unknown) > 0 {
			return fmt.Errorf("misses.txt names tests that do not exist: %s", strings.Join(unknown, " "))
		}
	}
	return conclude(os.Stdout, all)
}

// tool is one package that go.mod names with a tool line.
type tool struct {
	path, dir string
}

func (t tool) base() string { return filepath.Base(t.path) }

// listTools returns the test packages and the programs of the test images that
// go.mod names.
func listTools(ctx context.Context) (suites []suite, images []tool, err error) {
	list := exec.CommandContext(ctx, "go", "list", "-tags", "e2e", "-f", "{{.Name}} {{.ImportPath}} {{.Dir}}", "tool")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go list tool: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		var name string
		var t tool
		if _, err := fmt.Sscan(line, &name, &t.path, &t.dir); err != nil {
			return nil, nil, fmt.Errorf("go list tool: %q: %w", line, err)
		}
		if name == "main" {
			images = append(images, t)
		} else {
			suites = append(suites, suite{t})
		}
	}
	slices.SortFunc(images, func(a, b tool) int { return strings.Compare(a.path, b.path) })
	slices.SortFunc(suites, func(a, b suite) int { return strings.Compare(a.path, b.path) })
	return suites, images, nil
}
