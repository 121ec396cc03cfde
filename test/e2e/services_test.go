//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// goodService is a sandbox with an image that answers, and a function that
// deploys it under an answer.
func goodService(t *testing.T) (s *sandbox, deploy func(service, answer string, args ...string) result) {
	t.Helper()
	t.Parallel()
	s = newSandbox(t)
	image := s.brokenImage("amd64")
	return s, func(service, answer string, args ...string) result {
		t.Helper()
		return s.knLite(0, append([]string{"deploy", "-s", service, "--image", image, "--env", "MODE=ok", "--env", "ANSWER=" + answer}, args...)...)
	}
}

// lines are the targets of a service's split, as asked for or as routed.
func (s *sandbox) lines(name, of string) []share {
	s.t.Helper()
	var live service
	s.object(&live, "ksvc", name)
	if of == "status" {
		return live.Status.Traffic
	}
	return live.Spec.Traffic
}

// TestGradualRollout deploys without traffic while Knative moves the traffic of
// an earlier change little by little: the split that serves stays.
func TestGradualRollout(t *testing.T) {
	s, deploy := goodService(t)
	deploy("fn", "one")
	s.kubectl("-n", s.Namespace, "annotate", "ksvc", "fn", "serving.knative.dev/rollout-duration=900s")
	image := s.kubectl("-n", s.Namespace, "get", "ksvc", "fn", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	tools()[4].set(s, "fn", image, "two") // kn would wait until the rollout is over
	var under []share
	s.eventually(time.Minute, "the rollout is under way", func() string {
		if under = s.lines("fn", "status"); len(under) == 2 && under[0].Percent > 50 && under[1].Percent > 0 {
			return ""
		}
		return fmt.Sprint(under)
	})
	// Rows that are only routed have a state and an age too.
	shown := s.knLite(0, "traffic", "show", "-s", "fn").Stdout
	for _, target := range under {
		if line := lineWith(shown, target.RevisionName); !strings.Contains(line, "ready") || !strings.Contains(line, "s ") {
			t.Errorf("the row of %s has no state or no age: %q", target.RevisionName, line)
		}
	}
	deploy("fn", "three", "--no-traffic")
	var shares []string
	for _, target := range s.lines("fn", "status") {
		if target.Percent > 0 {
			shares = append(shares, fmt.Sprintf("%s=%d", target.RevisionName, target.Percent))
		}
		if target.RevisionName == "fn-v2" && target.Percent > 0 {
			t.Errorf("the new revision has %d %%", target.Percent)
		}
	}
	if len(shares) != 2 || under[0].Percent-s.lines("fn", "status")[0].Percent > 10 {
		t.Errorf("%v served, and now %v", under, shares)
	}
}

func lineWith(text, word string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			return line
		}
	}
	return ""
}

// TestLongNames: what Knative allows as a service's name works, also where no
// name of ours fits behind it.
func TestLongNames(t *testing.T) {
	s, deploy := goodService(t)
	short, long := strings.Repeat("n", 60), strings.Repeat("m", 63)
	deploy(short, "nine", "--revision", "v9")
	deploy(short, "ten") // v10 does not fit
	s.answers(s.host(short), func(body string) bool { return strings.Contains(body, "ten") })
	deploy(long, "one")
	deploy(long, "two")
	s.answers(s.host(long), func(body string) bool { return strings.Contains(body, "two") })
	before := s.spec(long)
	image := s.brokenImage("amd64")
	s.knLite(3, "deploy", "-s", long, "--image", image, "--env", "MODE=crash")
	if now := s.spec(long); now != before {
		t.Errorf("the former spec is not back:\n%s\nwant\n%s", now, before)
	}
	s.answers(s.host(long), func(body string) bool { return strings.Contains(body, "two") })
	s.knLite(0, "traffic", "split", "-s", long, "@latest=100")
	if r := tools()[2].set(s, long, image, "three"); r.Code != 0 {
		t.Errorf("kn is refused: %s", r.Stderr)
	}
	s.answers(s.host(long), func(body string) bool { return strings.Contains(body, "three") })
}

// TestSplitsOfOthers: a split that somebody sets while a deploy is under way,
// one that names a revision twice, and a revision that is asked for again.
func TestSplitsOfOthers(t *testing.T) {
	s, deploy := goodService(t)
	image := s.brokenImage("amd64")
	deploy("fn", "one", "--revision", "sha-aaa")
	deploy("fn", "two", "--revision", "sha-bbb")
	split := func(targets string) {
		s.kubectl("-n", s.Namespace, "patch", "ksvc", "fn", "--type=merge", "-p", `{"spec":{"traffic":[`+targets+`]}}`)
	}

	t.Log("a release tool goes back by name, and forth again")
	for _, n := range []string{"aaa:one", "bbb:two"} {
		name, answer, _ := strings.Cut(n, ":")
		deploy("fn", answer, "--revision", "sha-"+name)
		s.agrees("fn", map[string]int{"fn-sha-" + name: 100})
	}
	if got := s.revisions("fn"); !slices.Equal(got, []string{"fn-sha-aaa", "fn-sha-bbb"}) {
		t.Errorf("revisions %v", got)
	}

	t.Log("twice the same target: Knative waits for ever, a deploy writes one line")
	split(`{"revisionName":"fn-sha-bbb","percent":60},{"revisionName":"fn-sha-bbb","percent":40}`)
	deploy("fn", "three", "--no-traffic")
	if lines := s.lines("fn", "spec"); len(lines) != 1 || lines[0].RevisionName != "fn-sha-bbb" || lines[0].Percent != 100 {
		t.Errorf("the split is %v", lines)
	}

	t.Log("a later split stays when a deploy is given up")
	cmd := exec.CommandContext(t.Context(), s.program(t, "kn-lite"), "-n", s.Namespace, "deploy", "-s", "fn", "--image", image, "--env", "MODE=mute")
	cmd.Dir, cmd.Env = s.Dir, s.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.eventually(20*time.Second, "the deploy is under way", func() string {
		if strings.Contains(strings.Join(s.revisions("fn"), " "), "fn-v2") {
			return ""
		}
		return strings.Join(s.revisions("fn"), " ")
	})
	time.Sleep(time.Second) // the name is out of the template
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("exit %d\n%s", cmd.ProcessState.ExitCode(), stderr.String())
	}
	split(`{"revisionName":"fn-sha-aaa","percent":50},{"revisionName":"fn-sha-bbb","percent":50}`)
	s.knLite(0, "deploy", "--abort", "-s", "fn")
	s.agrees("fn", map[string]int{"fn-sha-aaa": 50, "fn-sha-bbb": 50})
}

// TestTagAnswers: when a deploy with a tag ends, it has said the tag's URL, and
// the first request to it meets the new revision, whether the tag is new or moves.
func TestTagAnswers(t *testing.T) {
	s, deploy := goodService(t)
	rounds := 3
	if full() {
		rounds = 20
	}
	deploy("fn", "zero")
	for n := range rounds {
		tag := "pr7"
		if n%4 == 3 {
			tag = fmt.Sprintf("pr%d", 100+n)
		}
		var said struct{ Revision, TagURL string }
		out := deploy("fn", fmt.Sprintf("round-%d", n), "--no-traffic", "--tag", tag, "-o", "json").Stdout
		if err := json.Unmarshal([]byte(out), &said); err != nil || !strings.HasPrefix(said.TagURL, "http://"+tag+"-fn.") {
			t.Errorf("round %d: tagURL %q, %v", n, said.TagURL, err)
			continue
		}
		for range 5 {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, said.TagURL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.http.Do(req)
			if err != nil {
				t.Fatalf("round %d: %v", n, err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Revision"); resp.StatusCode != http.StatusOK || got != said.Revision {
				t.Errorf("round %d: %s answers with status %d and revision %q, want %s", n, said.TagURL, resp.StatusCode, got, said.Revision)
			}
		}
	}
}

// TestLargeService: 200 KB of variables, and kubectl's copy of them, leave space
// for what deploys and splits note.
func TestLargeService(t *testing.T) {
	s, deploy := goodService(t)
	image := s.brokenImage("amd64")
	var text strings.Builder
	text.WriteString(manifest("fn", image, "one"))
	for n := range 10 {
		fmt.Fprintf(&text, "        - {name: V%d, value: %s}\n", n, strings.Repeat("v", 20<<10))
	}
	path := filepath.Join(s.Dir, "large.yaml")
	write(t, path, text.String())
	s.kubectl("-n", s.Namespace, "apply", "-f", path)
	s.kubectl("-n", s.Namespace, "wait", "--for=condition=Ready", "ksvc/fn", "--timeout=180s")
	deploy("fn", "two")
	deploy("fn", "three")
	changes := 2
	if full() {
		changes = 200
		before := s.spec("fn")
		s.knLite(3, "deploy", "-s", "fn", "--image", image, "--env", "MODE=crash")
		if s.spec("fn") != before {
			t.Error("the former spec is not back")
		}
	}
	for n := range changes {
		s.knLite(0, "traffic", "split", "-s", "fn", "--no-wait", fmt.Sprintf("v1=%d", 1+n%50), "v2")
	}
	history := s.kubectl("-n", s.Namespace, "get", "ksvc", "fn", "-o", `jsonpath={.metadata.annotations.kn-lite\.dev/traffic-history}`)
	if len(history) == 0 || len(history) > 16<<10 {
		t.Errorf("after %d splits the history has %d bytes", changes, len(history))
	}
	s.kubectl("-n", s.Namespace, "apply", "-f", path)
}
