//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sandbox is one test's namespace, working folder and clients. All of it is
// gone when the test ends.
type sandbox struct {
	*target
	t         *testing.T
	Namespace string
	Dir       string // where commands run; tests move it into a project
	http      *http.Client
	knLiteEnv []string // for kn-lite only, after all others
}

// result is what a command did.
type result struct {
	Stdout, Stderr string
	Code           int
	Took           time.Duration
}

// reason returns the error that a command has ended with, in one line.
func (r result) reason() string {
	_, message, found := strings.Cut("\n"+r.Stderr, "\nerror: ")
	if !found {
		return "it has given no error"
	}
	return strings.Join(strings.Fields(message), " ")
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	c := findTarget(t)
	s := &sandbox{target: c, t: t, Dir: t.TempDir(), Namespace: fmt.Sprintf("%s-%d", slug(t.Name()), os.Getpid())}
	s.http = ingressClient(&net.Dialer{Timeout: 10 * time.Second}, c.Ingress)
	s.kubectl("create", "namespace", s.Namespace)
	t.Cleanup(func() {
		if t.Failed() {
			s.explain()
		}
		if os.Getenv("KEEP") == "1" {
			t.Logf("kept namespace %s", s.Namespace)
			return
		}
		// Nobody waits: pods drain for half a minute, and the namespace controller
		// looks again only after half of their grace period, 150 s for Knative's.
		// The next test has a namespace of its own, and TestMainJob is the one that
		// proves that a deletion leaves nothing.
		s.kubectl("-n", s.Namespace, "delete", "ksvc", "--all", "--wait=false")
		s.kubectl("delete", "namespace", s.Namespace, "--wait=false")
	})
	return s
}

// explain logs the state of a namespace whose test failed.
func (s *sandbox) explain() {
	for _, args := range [][]string{
		{"get", "ksvc,revision,pods", "-o", "wide"},
		{"get", "events", "--sort-by=.lastTimestamp"},
	} {
		out := s.run(s.program(s.t, "kubectl"), append([]string{"-n", s.Namespace}, args...)...)
		s.t.Logf("kubectl %s\n%s%s", strings.Join(args, " "), out.Stdout, out.Stderr)
	}
}

// run starts a program in Dir and waits for it; it fails the test only when
// the program cannot be started at all.
func (s *sandbox) run(name string, args ...string) result {
	s.t.Helper()
	return s.runWith(nil, name, args...)
}

// runWith is run with more in the environment.
func (s *sandbox) runWith(extra []string, name string, args ...string) result {
	s.t.Helper()
	// Longer than any deadline of the programs themselves, so that theirs are
	// the ones that are seen.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = s.Dir, slices.Concat(s.env, extra)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := result{Stdout: stdout.String(), Stderr: stderr.String(), Took: time.Since(start)}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.Code = exit.ExitCode()
	} else if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return r
}

// knLite runs kn-lite in the sandbox's namespace and compares its exit code.
func (s *sandbox) knLite(code int, args ...string) result {
	s.t.Helper()
	return s.knLiteEnds([]int{code}, args...)
}

// knLiteEnds runs kn-lite, which has to exit with one of the codes.
func (s *sandbox) knLiteEnds(codes []int, args ...string) result {
	s.t.Helper()
	r := s.runWith(s.knLiteEnv, s.program(s.t, "kn-lite"), append([]string{"--namespace", s.Namespace}, args...)...)
	s.t.Logf("kn-lite %s: exit %d after %s\n%s%s", strings.Join(args, " "), r.Code, r.Took.Round(time.Millisecond), r.Stdout, r.Stderr)
	if !slices.Contains(codes, r.Code) {
		// The reason in the same line, for whoever has only that.
		s.t.Fatalf("kn-lite %s exited with %d, want %v: %s", strings.Join(args, " "), r.Code, codes, r.reason())
	}
	return r
}

// ok runs any program that must succeed and returns its stdout.
func (s *sandbox) ok(name string, args ...string) string {
	s.t.Helper()
	r := s.run(s.program(s.t, name), args...)
	if r.Code != 0 {
		s.t.Fatalf("%s %s: exit %d\n%s%s", name, strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

func (s *sandbox) kubectl(args ...string) string {
	s.t.Helper()
	return s.ok("kubectl", args...)
}

// object decodes what `kubectl get -o json` says about something in the namespace.
func (s *sandbox) object(into any, args ...string) {
	s.t.Helper()
	out := s.kubectl(append([]string{"-n", s.Namespace, "get", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		s.t.Fatalf("kubectl get %v: %v", args, err)
	}
}

// names lists "kind/name" of what there is of the kinds in the namespace.
func (s *sandbox) names(kinds string, args ...string) []string {
	s.t.Helper()
	return strings.Fields(s.kubectl(append([]string{"-n", s.Namespace, "get", kinds, "-o", "name"}, args...)...))
}

// get sends one request through the ingress.
func (s *sandbox) get(host, path string) (status int, body string, err error) {
	return get(s.t.Context(), s.http, "http://"+host+path)
}

// ingressClient sends every request to the ingress, whatever its host.
func ingressClient(dialer *net.Dialer, ingress string) *http.Client {
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			// No DNS knows the services' names: every connection goes to the
			// ingress, which tells the services apart by the Host header.
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, ingress)
			},
			// One request, one connection: what the ingress balances are requests,
			// and no request may profit from the former one's revision.
			DisableKeepAlives: true,
		},
	}
}

func get(ctx context.Context, client *http.Client, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(raw), err
}

// eventually asks until check has nothing left to complain about.
func (s *sandbox) eventually(within time.Duration, what string, check func() string) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s: %s", what, within, complaint)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// edit changes the one place of a file where a text stands.
func (s *sandbox) edit(file, from, to string) {
	s.t.Helper()
	path := filepath.Join(s.Dir, file)
	raw, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if n := strings.Count(string(raw), from); n != 1 {
		s.t.Fatalf("%s: %q stands there %d times, want once:\n%s", file, from, n, raw)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(raw), from, to, 1)), 0o644); err != nil {
		s.t.Fatal(err)
	}
}
