//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestInterruptedDeploys ends deploys at random moments, onto services that
// other tools have made, while requests come in. Exactly what served goes on
// serving, no request fails, and whoever comes next can go on: the same command,
// --abort, or the tool that made the service.
func TestInterruptedDeploys(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 2))
	rounds := 3
	if full() {
		rounds = 20
	}
	s := newSandbox(t)
	image := s.brokenImage("amd64")
	makers := tools()
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL}
	var done []string
	defer func() {
		t.Logf("SEED=%d FULL=%s repeats this:\n%s", seed, os.Getenv("FULL"), strings.Join(done, "\n"))
	}()
	for n := range rounds {
		maker := makers[(n+int(seed%5))%len(makers)]
		i := &interruption{
			sandbox: s, maker: maker, image: image, service: "fn" + strconv.Itoa(n),
			signal: signals[n%3], next: (n + n/3) % 3,
			when:  moments()[random.IntN(len(moments()))],
			after: time.Duration(random.Int64N(int64(500 * time.Millisecond))),
		}
		if i.signal == syscall.SIGKILL {
			// Between the revision's creation and the moment when its name is taken out
			// of the template, a process that is killed leaves the name there; other
			// tools then have to wait for one of these two.
			i.next %= 2
		}
		done = append(done, i.play(t))
	}
}

// seedOf returns $SEED, or a seed of its own, and logs it.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SEED=%s: %v", text, err)
		}
	}
	t.Logf("SEED=%d", seed)
	return seed
}

// interruption is one deploy that does not come to its end.
type interruption struct {
	*sandbox
	maker          tool
	image, service string
	host           string
	signal         syscall.Signal
	when           string        // what the deploy has said last
	after          time.Duration // since then
	next           int           // what happens afterwards: the same command, --abort, the maker
}

// moments are what a deploy says on its way: before it has written anything,
// with the new revision there, with it ready, with the traffic moved.
func moments() []string { return []string{"", "wait for", "is ready (", "route "} }

func (i *interruption) play(t *testing.T) string {
	t.Helper()
	if r := i.maker.set(i.sandbox, i.service, i.image, "one"); r.Code != 0 {
		t.Fatalf("%s: %s%s", i.maker.name, r.Stdout, r.Stderr)
	}
	i.kubectl("-n", i.Namespace, "wait", "--for=condition=Ready", "ksvc/"+i.service, "--timeout=180s")
	i.host = i.sandbox.host(i.service)
	i.answers(i.host, func(body string) bool { return strings.Contains(body, "one") })
	before := i.spec(i.service)

	stop := i.ask(t)
	deploy := []string{"-n", i.Namespace, "deploy", "-s", i.service, "--image", i.image, "--env", "MODE=ok", "--env", "ANSWER=two"}
	code := i.cut(t, deploy)
	moved := i.annotation() == "" && i.spec(i.service) != before
	time.Sleep(2 * time.Second) // what a dead process has left may not move on its own
	line := fmt.Sprintf("%s (made by %s): %v %s after %q: exit %d, moved %v", i.service, i.maker.name, i.signal, i.after.Round(time.Millisecond), i.when, code, moved)
	t.Log(line)
	if heard := stop(); !moved && strings.Join(heard, " ") != "one" {
		t.Errorf("%s: the traffic was not moved, and the answers were %v", line, heard)
	}
	i.goOn(t, line, deploy, before, moved)
	i.atRest(t, line)
	return line
}

// cut starts a deploy and sends it the signal.
func (i *interruption) cut(t *testing.T, args []string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), i.program(t, "kn-lite"), args...)
	cmd.Dir, cmd.Env = i.Dir, i.env
	stderr := &waitFor{text: []byte(i.when), found: make(chan struct{})}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its exit code says it
		close(ended)
	}()
	if i.when != "" {
		select {
		case <-stderr.found:
		case <-ended:
		}
	}
	time.Sleep(i.after)
	if err := cmd.Process.Signal(i.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-ended
	code := cmd.ProcessState.ExitCode()
	want := map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGKILL: -1}[i.signal]
	if code != want && code != 0 {
		t.Errorf("%v after %s: exit %d, want %d\n%s", i.signal, i.after, code, want, stderr.all)
	}
	return code
}

// ask sends requests until it is stopped, and returns the different answers.
func (i *interruption) ask(t *testing.T) func() []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var heard []string
	all.Go(func() {
		for ctx.Err() == nil {
			status, body, err := i.get(i.host, "/")
			if err != nil || status != http.StatusOK {
				t.Errorf("%s: a request failed: status %d, %v, %.80s", i.service, status, err, body)
			}
			_, answer, _ := strings.Cut(strings.TrimSpace(body), ": ")
			if !slices.Contains(heard, answer) {
				heard = append(heard, answer)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() []string { cancel(); all.Wait(); return heard }
}

func (i *interruption) annotation() string {
	i.t.Helper()
	return i.kubectl("-n", i.Namespace, "get", "ksvc", i.service, "-o", `jsonpath={.metadata.annotations.kn-lite\.dev/deploy}`)
}

// goOn is whoever comes next.
func (i *interruption) goOn(t *testing.T, line string, deploy []string, before string, moved bool) {
	t.Helper()
	want := "two"
	switch i.next {
	case 0:
		if r := i.run(i.program(t, "kn-lite"), deploy...); r.Code != 0 {
			t.Errorf("%s: the same command again: exit %d\n%s", line, r.Code, r.Stderr)
		}
	case 1:
		r := i.run(i.program(t, "kn-lite"), "-n", i.Namespace, "deploy", "--abort", "-s", i.service)
		if r.Code != 0 && r.Code != 5 {
			t.Errorf("%s: --abort: exit %d\n%s", line, r.Code, r.Stderr)
		}
		if !moved {
			want = "one"
			if now := i.spec(i.service); now != before {
				t.Errorf("%s: after --abort\n%s\nwant\n%s", line, now, before)
			}
		}
	case 2:
		want = "three"
		if r := i.maker.set(i.sandbox, i.service, i.image, "three"); r.Code != 0 {
			t.Errorf("%s: %s is refused: %s", line, i.maker.name, r.Stderr)
		}
		if i.annotation() != "" { // pinned until somebody gives the deploy up
			if r := i.run(i.program(t, "kn-lite"), "-n", i.Namespace, "deploy", "--abort", "-s", i.service); r.Code != 0 {
				t.Errorf("%s: --abort: exit %d\n%s", line, r.Code, r.Stderr)
			}
		}
	}
	i.answers(i.host, func(body string) bool { return strings.Contains(body, want) })
}

// atRest checks that nothing of the deploy is left on the service.
func (i *interruption) atRest(t *testing.T, line string) {
	t.Helper()
	name := i.kubectl("-n", i.Namespace, "get", "ksvc", i.service, "-o", "jsonpath={.spec.template.metadata.name}")
	if record := i.annotation(); name != "" || record != "" {
		t.Errorf("%s: the template is named %q, and there is the record %q", line, name, record)
	}
}
