//go:build bench

// Package bench measures what people wait for: how fast the program starts and
// how long a build takes, beside kn and ko in the same run. `make bench` builds
// all three. Runs alternate, so that a busy machine slows every contender alike,
// and medians are compared.
package bench

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// contender is one command line that is measured.
type contender struct {
	name    string
	dir     string
	env     []string
	args    []string
	before  func(t *testing.T, run int) // not measured
	results []measured
}

// measured is what one run took, with the processes it started and waited for.
type measured struct {
	wall, cpu time.Duration
	peak      int64 // bytes of memory that the largest of the processes had at once
}

func full() bool { return os.Getenv("FULL") == "1" }

// program finds a binary in bin/, where make puts it.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; `make bench` builds it", err)
	}
	return path
}

// measure runs every contender once unmeasured, then n times in turns.
func measure(t *testing.T, n int, contenders ...*contender) {
	t.Helper()
	for run := range n + 1 {
		for _, c := range contenders {
			if c.before != nil {
				c.before(t, run)
			}
			m := c.run(t)
			if run > 0 {
				c.results = append(c.results, m)
			}
		}
	}
}

func (c *contender) run(t *testing.T) measured {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", c.name, err, stderr.String())
	}
	took := time.Since(start)
	// getrusage(2): in KiB on Linux.
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	return measured{wall: took, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: peak}
}

func median[N cmp.Ordered](results []measured, of func(measured) N) N {
	var values []N
	for _, r := range results {
		values = append(values, of(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func (c *contender) wall() time.Duration {
	return median(c.results, func(m measured) time.Duration { return m.wall })
}

// compare prints the medians, and the first contender's ratio to each other.
func compare(t *testing.T, what string, contenders ...*contender) {
	t.Helper()
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\tmedian\tfastest\tCPU\tpeak\t%s's ratio\t\n", what, contenders[0].name)
	for i, c := range contenders {
		fastest := slices.MinFunc(c.results, func(a, b measured) int { return int(a.wall - b.wall) }).wall
		ratio := ""
		if i > 0 {
			ratio = fmt.Sprintf("%.2f", float64(contenders[0].wall())/float64(c.wall()))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d MB\t%s\t\n", c.name, round(c.wall()), round(fastest),
			round(median(c.results, func(m measured) time.Duration { return m.cpu })), median(c.results, func(m measured) int64 { return m.peak })/1e6, ratio)
	}
	// Writes to a buffer cannot fail.
	_ = w.Flush()
	t.Logf("%d runs each, in turns\n%s", len(contenders[0].results), out.String())
}

func round(d time.Duration) time.Duration {
	if d < 100*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

// atMost fails when the first of two took more than limit times the second.
func atMost(t *testing.T, limit float64, ours, theirs *contender) {
	t.Helper()
	if ratio := float64(ours.wall()) / float64(theirs.wall()); ratio > limit {
		t.Errorf("%s takes %.2f of what %s takes, want at most %.2f", ours.name, ratio, theirs.name, limit)
	}
}
