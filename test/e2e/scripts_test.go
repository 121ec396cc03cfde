//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/test/scriptcmd"
)

// TestScripts runs testdata/scripts, each in a namespace of its own: the same scripts
// on a devcluster and on the embedded platform. README.md has their commands.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/scripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			image, foreign := s.brokenImage("amd64"), s.brokenImage("arm64")
			var vars []string
			testscript.Run(t, testscript.Params{
				Files:               []string{file},
				Cmds:                s.commands(&vars),
				Condition:           s.condition,
				RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Vars = append(e.Vars, s.env...)
					e.Vars = append(
						e.Vars, "KUBECONFIG="+s.kubeconfig(), "NAMESPACE="+s.Namespace, "REGISTRY="+s.Registry,
						"IMAGE="+image, "FOREIGN="+foreign, "MISSING="+image[:strings.Index(image, "@")]+"@sha256:"+strings.Repeat("0", 64),
					)
					vars = e.Vars
					return nil
				},
			})
		})
	}
}

// kubeconfig writes one whose namespace is the sandbox's.
func (s *sandbox) kubeconfig() string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "kubeconfig")
	write(s.t, file, s.kubectl("config", "view", "--raw", "--minify", "--flatten"))
	s.kubectl("--kubeconfig", file, "config", "set-context", "--current", "--namespace", s.Namespace)
	return file
}

// condition knows [local], [devcluster] and [full] beside testscript's own.
func (s *sandbox) condition(name string) (bool, error) {
	switch name {
	case "local", "devcluster":
		return s.Platform == name, nil
	case "full":
		return full(), nil
	}
	return false, fmt.Errorf("unknown condition [%s]", name)
}

// commands are the scripts', whose variables are in vars.
func (s *sandbox) commands(vars *[]string) map[string]scriptcmd.Command {
	all := scriptcmd.Commands()
	maps.Copy(all, map[string]scriptcmd.Command{"ask": s.askCommand, "race": s.raceCommand(vars), "capture": captureCommand, "until": untilCommand})
	return all
}

// untilCommand runs a program until it succeeds and its stdout matches:
//
//	until 'ready$' kn-lite list
func untilCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP PROGRAM [ARG...]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && pattern.MatchString(strings.TrimSpace(ts.ReadFile("stdout"))) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v: no %s within two minutes (%v)", args[1:], args[0], err)
		}
	}
}

// captureCommand sets a variable to what a program prints:
//
//	capture GENERATION kubectl get ksvc fn -o jsonpath={.metadata.generation}
func captureCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: capture VARIABLE PROGRAM [ARG...]")
	}
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// askCommand sends requests to a service, eight at a time, and prints how often each
// answer came, as COUNT STATUS BODY:
//
//	ask 400 hello
func (s *sandbox) askCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: ask N SERVICE [PATH]")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	path := "/"
	if len(args) == 3 {
		path = args[2]
	}
	host := s.host(args[1])
	counts := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	work := make(chan struct{})
	for range 8 {
		all.Go(func() {
			for range work {
				status, body, err := s.get(host, path)
				answer := fmt.Sprintf("%d %s", status, strings.TrimSpace(body))
				if err != nil {
					answer = err.Error()
				}
				mu.Lock()
				counts[answer]++
				mu.Unlock()
			}
		})
	}
	for range n {
		work <- struct{}{}
	}
	close(work)
	all.Wait()
	for _, answer := range slices.Sorted(maps.Keys(counts)) {
		_, err := fmt.Fprintf(ts.Stdout(), "%d %s\n", counts[answer], answer)
		ts.Check(err)
	}
}

// raceCommand starts a program N times at once, %d in its arguments being a number
// from 1 to N, and prints how often each exit code came, and who ended with 0:
//
//	race 8 kn-lite traffic split fn v1=%d v2
func (s *sandbox) raceCommand(vars *[]string) scriptcmd.Command {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: race N PROGRAM [ARG...]")
		}
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		codes, outputs := make([]int, n), make([]string, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				var line []string
				for _, arg := range args[2:] {
					line = append(line, strings.ReplaceAll(arg, "%d", strconv.Itoa(i+1)))
				}
				cmd := exec.Command(s.program(s.t, args[1]), line...)
				cmd.Env = *vars
				out, err := cmd.CombinedOutput()
				outputs[i] = string(out)
				if exit, ok := errors.AsType[*exec.ExitError](err); ok {
					codes[i] = exit.ExitCode()
				} else if err != nil {
					codes[i], outputs[i] = -1, err.Error()
				}
			})
		}
		all.Wait()
		ts.Check(summarize(ts, codes, outputs))
	}
}

func summarize(ts *testscript.TestScript, codes []int, outputs []string) error {
	counts := map[int]int{}
	for i, code := range codes {
		if counts[code]++; code == 0 {
			if _, err := fmt.Fprintf(ts.Stdout(), "won: %d\n", i+1); err != nil {
				return err
			}
		} else {
			ts.Logf("%d: exit %d: %s", i+1, code, outputs[i])
		}
	}
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		if _, err := fmt.Fprintf(ts.Stdout(), "exit %d: %d\n", code, counts[code]); err != nil {
			return err
		}
	}
	return nil
}
