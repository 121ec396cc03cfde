package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suite is one package of tests.
type suite struct{ tool }

// name is the end of the import path: api/v1, runtime.
func (s suite) name() string {
	_, name, _ := strings.Cut(s.path, "/conformance/")
	return name
}

// result is what became of one test of the suite, its subtests included.
type result struct {
	Name    string
	Outcome string // pass, fail, skip; empty when it did not end
	Elapsed time.Duration
	Output  []string
	Skipped []string // subtests that were skipped
	longest time.Duration
}

// run compiles the tests, runs them and returns a result for each that the binary
// has, whether it was reached or not.
func (s suite) run(ctx context.Context, o options, work string, flags, environ []string) ([]*result, error) {
	file := strings.ReplaceAll(s.name(), "/", "-")
	program := filepath.Join(work, file+".test")
	compile := exec.CommandContext(ctx, "go", "test", "-c", "-tags", "e2e", "-o", program, s.path)
	compile.Stderr = os.Stderr
	if err := compile.Run(); err != nil {
		return nil, fmt.Errorf("compile %s: %w", s.path, err)
	}
	names, err := listTests(ctx, program, o.run)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(o.logs, "conformance-"+file+".log"))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "%s: %d tests, %d at a time; all they say is in %s\n", s.name(), len(names), o.parallel, log.Name())
	arguments := []string{
		"tool", "test2json", "-t", program, "-test.v=test2json", "-test.timeout=40m",
		"-test.parallel=" + strconv.Itoa(o.parallel), "-test.run=" + o.run,
	}
	cmd := exec.CommandContext(ctx, "go", append(arguments, flags...)...)
	cmd.Env, cmd.Stderr = append(os.Environ(), environ...), os.Stderr
	// The tests clean up after themselves when they are interrupted.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	events, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	results, readErr := readEvents(io.TeeReader(events, log), names, func(r *result) {
		fmt.Fprintf(os.Stderr, "  %s %s (%.1fs)\n", r.Outcome, r.Name, r.Elapsed.Seconds())
	})
	// A failed test is a result, not an error.
	waitErr := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		waitErr = nil
	}
	return results, errors.Join(readErr, waitErr, log.Close())
}

// listTests asks the binary for its tests, so that one that never ran is noticed.
func listTests(ctx context.Context, program, pattern string) ([]string, error) {
	list := exec.CommandContext(ctx, program, "-test.list", pattern)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests of %s: %w", program, err)
	}
	names := strings.Fields(string(out))
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "Test") }), nil
}

// event is one line of what test2json says (go doc test2json).
type event struct {
	Action  string
	Test    string
	Output  string
	Elapsed float64
}

// readEvents sorts the events by the test that they belong to. A line that is no
// event is what a crashed program says last: it belongs to every test that runs.
func readEvents(in io.Reader, names []string, ended func(*result)) ([]*result, error) {
	results := make([]*result, len(names))
	byName := map[string]*result{}
	for i, name := range names {
		results[i] = &result{Name: name}
		byName[name] = results[i]
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil {
			if r := take(byName, e); r != nil {
				ended(r)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return results, nil
		case err != nil:
			return results, err
		}
	}
}

// take adds an event to its test and returns the test when that ended it.
func take(byName map[string]*result, e event) *result {
	name, sub, isSub := strings.Cut(e.Test, "/")
	r := byName[name]
	switch {
	case r == nil:
		// What no test said, a panic for example, is shown with each that did not end.
		for _, r := range byName {
			if e.Action == "output" && r.Outcome == "" {
				r.Output = append(r.Output, e.Output)
			}
		}
	case e.Action == "output":
		r.Output = append(r.Output, e.Output)
	case isSub && e.Elapsed > 0:
		// A test's own time is without that of its parallel subtests.
		r.longest = max(r.longest, seconds(e.Elapsed))
	case isSub && e.Action == "skip":
		r.Skipped = append(r.Skipped, sub)
	case !isSub && slices.Contains([]string{"pass", "fail", "skip"}, e.Action):
		r.Outcome, r.Elapsed = e.Action, max(r.longest, seconds(e.Elapsed))
		return r
	}
	return nil
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
