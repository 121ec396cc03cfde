//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// canary is a service with a stable revision fn-v1, which has all of the traffic, and
// a candidate fn-v2 without any.
type canary struct {
	*sandbox
	service string
	before  string // its split
}

// canary deploys both; env is the candidate's.
func (s *sandbox) canary(t *testing.T, service string, env ...string) *canary {
	t.Helper()
	own := *s
	own.t = t
	c := &canary{sandbox: &own, service: service}
	image := c.brokenImage("amd64")
	c.knLite(0, "deploy", "-s", service, "--image", image, "--env", "MODE=ok", "--env", "ANSWER=one")
	args := []string{"deploy", "-s", service, "--image", image, "--no-traffic", "--env", "ANSWER=two"}
	for _, e := range env {
		args = append(args, "--env", e)
	}
	c.knLite(0, args...)
	c.before = c.split()
	return c
}

func (c *canary) split() string {
	c.t.Helper()
	return c.kubectl("-n", c.Namespace, "get", "ksvc", c.service, "-o", `jsonpath={range .spec.traffic[*]}{.revisionName}({.tag})={.percent} {end}`)
}

// load sends about fifty requests a second to the service until the test ends: a
// devcluster on two processors answers several such services at once.
func (c *canary) load() {
	host := c.host(c.service)
	ticks := time.NewTicker(20 * time.Millisecond)
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-ticks.C:
					_, _, _ = c.get(host, "/") // how it is answered is what kn-lite has to find out
				}
			}
		})
	}
	c.t.Cleanup(func() {
		close(done)
		all.Wait()
		ticks.Stop()
	})
}

// start is the command line of a rollout that takes seconds. What others do on the machine
// meanwhile is no fault of the candidate's: it is compared with the stable revision by its errors alone.
func (c *canary) start(more ...string) []string {
	return append([]string{"rollout", "start", "-s", c.service, "v2", "--steps", "10,50,100", "--interval", "2s", "--patience", "30s", "--min-requests", "20", "--max-slowdown", "none"}, more...)
}

// spawned is kn-lite in the background.
type spawned struct {
	c      *canary
	cmd    *exec.Cmd
	output bytes.Buffer
	mu     sync.Mutex
}

// Write implements io.Writer.
func (p *spawned) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(text)
}

func (c *canary) spawn(args ...string) *spawned {
	c.t.Helper()
	p := &spawned{c: c, cmd: exec.Command(c.program(c.t, "kn-lite"), append([]string{"--namespace", c.Namespace}, args...)...)}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = c.Dir, slices.Concat(c.env, c.knLiteEnv), p, p
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // it has ended, unless the test has failed
	return p
}

// wait returns what it has printed, when it has ended with the code.
func (p *spawned) wait(code int) string {
	p.c.t.Helper()
	err := p.cmd.Wait()
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	}
	p.c.t.Logf("%v: exit %d\n%s", p.cmd.Args[3:], got, &p.output)
	if got != code {
		p.c.t.Errorf("exit %d, want %d", got, code)
	}
	return p.output.String()
}

// status asks for the rollout until it is in a phase.
func (c *canary) phase(want string) (info struct {
	Phase, Reason, Signal, Holder string
	Percent, Step                 int
},
) {
	c.t.Helper()
	c.eventually(30*time.Second, "the rollout is "+want, func() string {
		r := c.run(c.program(c.t, "kn-lite"), "--namespace", c.Namespace, "rollout", "status", c.service, "-o", "json")
		if r.Code != 0 {
			return r.Stderr
		}
		if err := json.Unmarshal([]byte(r.Stdout), &info); err != nil {
			return err.Error()
		}
		if info.Phase != want {
			return "it is " + info.Phase
		}
		return ""
	})
	return info
}

// generations counts the changes of the service's spec.
func (c *canary) generations() int {
	c.t.Helper()
	n, err := strconv.Atoi(c.generation(c.service))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// rolledBack fails unless the candidate was taken back from its first step.
func (c *canary) rolledBack(generation int, output, why string) {
	c.t.Helper()
	if !strings.Contains(output, why) {
		c.t.Errorf("the reason is not %q", why)
	}
	if now := c.split(); now != c.before {
		c.t.Errorf("the split is %s, and was %s", now, c.before)
	}
	if changes := c.generations() - generation; changes != 2 {
		c.t.Errorf("the split was changed %d times, not by the first step and back", changes)
	}
	if info := c.phase("rolled-back"); !strings.Contains(info.Reason, why) {
		c.t.Errorf("status gives the reason %q", info.Reason)
	}
}

// What a rollout promises, with real requests.
func TestRollout(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	for name, run := range map[string]func(*canary){
		"good": rolloutOfGood, "failing ERRORS=5": rolloutOfFailing, "slow LAG=300ms": rolloutOfSlow, "idle": rolloutOfIdle,
		"aborted": rolloutAborted, "resumed": rolloutResumed, "killed": rolloutKilled, "disturbed": rolloutDisturbed, "probed": rolloutProbed,
	} {
		name, env, _ := strings.Cut(name, " ")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.canary(t, "fn-"+name, strings.Fields(env)...)
			run(c)
		})
	}
}

func rolloutOfGood(c *canary) {
	c.load()
	before := c.generations()
	r := c.knLite(0, c.start("--max-p95", "2s")...)
	for _, want := range []string{"figures are from", "step 1 of 3: " + c.service + "-v2 at 10 %", "step 3 of 3: " + c.service + "-v2 at 100 %"} {
		if !strings.Contains(r.Stderr, want) {
			c.t.Errorf("%q is not reported", want)
		}
	}
	if got := c.split(); !strings.Contains(got, "-v2()=100") && got != "()=100 " {
		c.t.Errorf("the split is %s", got)
	}
	defer func() {
		// One rollout is one step back.
		c.knLite(0, "rollback", c.service)
		if got := c.split(); got != c.before {
			c.t.Errorf("the split is %s, and was %s before the rollout", got, c.before)
		}
	}()
	if changes := c.generations() - before; changes < 3 || changes > 4 {
		c.t.Errorf("%d changes of the split for three steps", changes)
	}
	c.phase("done")
	if r := c.knLite(0, c.start()...); !strings.Contains(r.Stderr, "has all of the traffic already") {
		c.t.Error("the same again is not nothing")
	}
}

func rolloutOfFailing(c *canary) {
	c.load()
	before := c.generations()
	r := c.knLite(9, c.start()...)
	c.rolledBack(before, r.Stderr, "failed, and 1 % is the most")
}

func rolloutOfSlow(c *canary) {
	c.load()
	before := c.generations()
	r := c.knLite(9, c.start("--max-p95", "250ms")...)
	c.rolledBack(before, r.Stderr, "its p95 is ")
}

func rolloutOfIdle(c *canary) {
	args := c.start("--patience", "4s")
	if c.Platform != "local" {
		args = append(args, "--signal", "queue-proxy")
	}
	// Where neither revision runs, whether it counts requests is not known.
	if status, _, err := c.get(c.host(c.service), "/"); err != nil || status != 200 {
		c.t.Fatalf("the stable revision answers %d, %v", status, err)
	}
	before := c.generations()
	r := c.knLite(9, args...)
	c.rolledBack(before, r.Stderr, "0 of 20 requests within 4s")
}

func rolloutAborted(c *canary) {
	c.load()
	first := c.spawn(c.start("--interval", "1m", "--patience", "5m")...)
	info := c.phase("running")
	if info.Percent != 10 || info.Step != 1 || info.Holder == "" {
		c.t.Errorf("status: %+v", info)
	}
	// One rollout of a service at a time.
	if r := c.knLite(6, c.start()...); !strings.Contains(r.Stderr, "is being run by") {
		c.t.Error("who runs it is not said")
	}
	c.knLite(0, "rollout", "abort", c.service)
	if text := first.wait(9); !strings.Contains(text, "was aborted") {
		c.t.Error("the first process does not say why it ends")
	}
	if now := c.split(); now != c.before {
		c.t.Errorf("the split is %s, and was %s", now, c.before)
	}
	c.phase("aborted")
	c.knLite(5, "rollout", "abort", c.service)
	// The next one begins anew, and somebody else promotes it.
	second := c.spawn(c.start("--interval", "1m", "--patience", "5m")...)
	c.phase("running")
	c.knLite(0, "rollout", "promote", c.service)
	second.wait(0)
	c.phase("promoted")
	if got := c.split(); !strings.Contains(got, "-v2()=100") && got != "()=100 " {
		c.t.Errorf("the split is %s", got)
	}
}

func rolloutResumed(c *canary) {
	c.load()
	first := c.spawn(c.start("--interval", "1m", "--patience", "5m")...)
	c.phase("running")
	if err := first.cmd.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
	if text := first.wait(130); !strings.Contains(text, "is paused at 10 %") || !strings.Contains(text, "rollout start") || !strings.Contains(text, "rollout abort") {
		c.t.Error("an interrupt does not say how to go on")
	}
	c.phase("paused")
	c.candidateHas(10)
	r := c.knLite(0, "rollout", "start", "-s", c.service, "--interval", "2s")
	if !strings.Contains(r.Stderr, "step 1 of 3") || !strings.Contains(r.Stderr, "step 3 of 3") {
		c.t.Error("the rollout is not gone on with from its first step to its last")
	}
	c.phase("done")
}

// candidateHas asks for the share of the revision that is rolled out. It has a tag while
// the rollout sends requests of its own.
func (c *canary) candidateHas(percent int) {
	c.t.Helper()
	if got := c.split(); !strings.Contains(got, fmt.Sprintf("-v2()=%d ", percent)) && !strings.Contains(got, fmt.Sprintf("-v2(rollout)=%d ", percent)) {
		c.t.Errorf("the split is %s", got)
	}
}

func rolloutKilled(c *canary) {
	c.load()
	first := c.spawn(c.start("--interval", "1m", "--patience", "5m")...)
	c.phase("running")
	if err := first.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = first.cmd.Wait() // it was killed
	c.knLite(6, "rollout", "start", "-s", c.service)
	c.knLite(0, "rollout", "abort", c.service)
	if now := c.split(); now != c.before {
		c.t.Errorf("the split is %s, and was %s", now, c.before)
	}
}

func rolloutDisturbed(c *canary) {
	c.load()
	first := c.spawn(c.start("--interval", "1m", "--patience", "5m")...)
	c.phase("running")
	c.knLite(0, "traffic", "split", "-s", c.service, "v1=70", "v2=30", "--no-wait")
	theirs := c.split()
	if text := first.wait(6); !strings.Contains(text, "changed by somebody else") {
		c.t.Error("what somebody else has done is not said")
	}
	if now := c.split(); now != theirs {
		c.t.Errorf("the split of somebody else was overwritten: %s", now)
	}
	c.phase("superseded")
	// Two at once: one wins.
	codes := make([]int, 2)
	var all sync.WaitGroup
	for i := range codes {
		all.Go(func() {
			codes[i] = c.run(c.program(c.t, "kn-lite"), append([]string{"--namespace", c.Namespace}, c.start("--steps", "40", "--signal", "probes")...)...).Code
		})
	}
	all.Wait()
	slices.Sort(codes)
	if fmt.Sprint(codes) != "[0 6]" {
		c.t.Errorf("two rollouts at once end with %v", codes)
	}
	c.candidateHas(40)
}

func rolloutProbed(c *canary) {
	r := c.knLite(0, c.start("--signal", "probes")...)
	if !strings.Contains(r.Stderr, "this command's own requests") {
		c.t.Error("the signal is not named")
	}
	if got := c.split(); strings.Contains(got, "rollout") {
		c.t.Errorf("its tag is left: %s", got)
	}
}
