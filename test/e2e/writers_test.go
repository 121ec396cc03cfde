//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWriters changes one service's split from many processes at once: no shift is
// lost and none fails because of another, whoever watches sees sums of 100 only, and
// of those that expect the same generation one wins.
func TestWriters(t *testing.T) {
	t.Parallel()
	writers, shifts, rounds := 8, 5, 2
	if full() {
		writers, shifts, rounds = 32, 25, 20
	}
	s := newSandbox(t)
	image := s.brokenImage("amd64")
	for _, answer := range []string{"one", "two"} {
		s.knLite(0, "deploy", "-s", "fn", "--image", image, "--env", "MODE=ok", "--env", "ANSWER="+answer)
	}
	s.knLite(0, "traffic", "split", "-s", "fn", "v1=50", "v2=50")
	s.relativeWriters(writers, shifts)
	s.absoluteWriters(writers, rounds)
}

// relativeWriters moves one percent to and fro; in the end each writer has moved one
// percent to the second revision.
func (s *sandbox) relativeWriters(writers, shifts int) {
	s.t.Helper()
	before := s.generationNumber("fn")
	sums := s.watchSums("fn")
	start := time.Now()
	slowest := make([]time.Duration, writers)
	s.each(writers, func(i int) {
		for n := range shifts {
			from, to := "v1", "v2"
			if n%2 == 1 {
				from, to = to, from
			}
			r := s.knLiteQuietly("traffic", "shift", "fn", from, to, "1", "--no-wait")
			slowest[i] = max(slowest[i], r.Took)
			if said := strings.ToLower(r.Stdout + r.Stderr); r.Code != 0 || strings.Contains(said, "409") || strings.Contains(said, "conflict") {
				s.t.Errorf("writer %d, shift %d: exit %d\n%s%s", i, n, r.Code, r.Stdout, r.Stderr)
			}
		}
	})
	took, longest := time.Since(start), time.Duration(0)
	for _, d := range slowest {
		longest = max(longest, d)
	}
	want := fmt.Sprintf("fn-v1=%d fn-v2=%d", 50-writers*(shifts%2), 50+writers*(shifts%2))
	if got := s.specShares("fn"); got != want {
		s.t.Errorf("the split is %s, want %s", got, want)
	}
	if written := s.generationNumber("fn") - before; written != writers*shifts {
		s.t.Errorf("%d writes, want %d", written, writers*shifts)
	}
	seen, wrong := sums()
	if len(wrong) > 0 || seen < 2 {
		s.t.Errorf("the watcher saw %d states, with these sums: %v", seen, wrong)
	}
	if longest > time.Minute {
		s.t.Errorf("a shift took %v", longest)
	}
	s.t.Logf("%d writers x %d shifts: %d written in %v, the slowest in %v; a watcher saw %d states", writers, shifts, writers*shifts, took.Round(time.Millisecond), longest.Round(time.Millisecond), seen)
}

// absoluteWriters asks for splits on the condition of one generation.
func (s *sandbox) absoluteWriters(writers, rounds int) {
	s.t.Helper()
	for round := range rounds {
		generation := s.generation("fn")
		codes := make([]int, writers)
		s.each(writers, func(i int) {
			// Other shares than those that are there: asking for these wins, too.
			share := strconv.Itoa(1 + i + 33*((round+1)%3))
			codes[i] = s.knLiteQuietly("traffic", "split", "fn", "v1="+share, "v2", "--no-wait", "--if-generation", generation).Code
		})
		counts := map[int]int{}
		for _, code := range codes {
			counts[code]++
		}
		if counts[0] != 1 || counts[6] != writers-1 {
			s.t.Errorf("round %d: exit codes %v", round, counts)
		}
	}
	if !s.t.Failed() {
		s.t.Logf("%d writers x %d rounds with --if-generation: one winner each, the others exit 6", writers, rounds)
	}
}

// each runs n writers at once.
func (s *sandbox) each(n int, write func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { write(i) })
	}
	all.Wait()
}

// knLiteQuietly is knLite for hundreds of runs: only what fails is logged, by the caller.
func (s *sandbox) knLiteQuietly(args ...string) result {
	return s.run(s.program(s.t, "kn-lite"), append([]string{"--namespace", s.Namespace}, args...)...)
}

func (s *sandbox) generationNumber(name string) int {
	s.t.Helper()
	n, err := strconv.Atoi(s.generation(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// specShares is a service's split as "fn-v1=50 fn-v2=50".
func (s *sandbox) specShares(name string) string {
	s.t.Helper()
	shares := map[string]string{}
	for _, line := range strings.Fields(s.kubectl("-n", s.Namespace, "get", "ksvc", name, "-o", `jsonpath={range .spec.traffic[*]}{.revisionName}={.percent} {end}`)) {
		revision, percent, _ := strings.Cut(line, "=")
		shares[revision] = percent
	}
	return fmt.Sprintf("%s-v1=%s %s-v2=%s", name, shares[name+"-v1"], name, shares[name+"-v2"])
}

// watchSums watches a service, and returns how many states it has seen and which sums
// other than 100 there were. With a range in its template kubectl prints the first state only.
func (s *sandbox) watchSums(name string) func() (seen int, wrong []string) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s.t.Cleanup(stop)
	cmd, out := s.watch(ctx, "ksvc", name, "-o", `jsonpath={.spec.traffic[*].percent}{"\n"}`)
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		s.t.Fatalf("kubectl get --watch ended: %v", cmd.Wait())
	}
	seen, done := 1, make(chan struct{})
	var wrong []string
	go func() {
		defer close(done)
		for lines.Scan() {
			sum := 0
			for part := range strings.FieldsSeq(lines.Text()) {
				n, err := strconv.Atoi(part)
				if err != nil {
					n = 1000 // a share that is no number
				}
				sum += n
			}
			if seen++; sum != 100 {
				wrong = append(wrong, lines.Text())
			}
		}
	}()
	return func() (int, []string) {
		time.Sleep(time.Second) // for the last events
		stop()
		_ = cmd.Wait() // it was killed
		<-done
		return seen, wrong
	}
}
