//go:build bench

// Package bench measures what people wait for: how fast the program starts and
// how long a build takes, beside the programs that do the same in the same run.
// `make bench` builds all of them. Runs alternate, so that a busy machine slows
// every contender alike, and medians are compared.
package bench

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// contender is one way to the result: commands that run one after the other.
type contender struct {
	name     string
	dir      string
	env      []string
	commands [][]string
	before   func(t *testing.T, run int) // not measured
	// server starts to watch a daemon that does the work for the commands, when
	// there is one, and returns what it has used since.
	server  func(t *testing.T) (used func() measured)
	results []measured
}

// measured is what one run took, with the processes it started and waited for.
type measured struct {
	wall, cpu time.Duration
	// peak is the memory that the largest of the processes had at once, in bytes.
	peak int64
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

func (c *contender) run(t *testing.T) (m measured) {
	t.Helper()
	if c.server != nil {
		used := c.server(t)
		defer func() {
			theirs := used()
			m.cpu += theirs.cpu
			m.peak = max(m.peak, theirs.peak)
		}()
	}
	for _, args := range c.commands {
		one := c.time(t, args)
		m.wall += one.wall
		m.cpu += one.cpu
		m.peak = max(m.peak, one.peak)
	}
	return m
}

// time has a process of its own start one command, since Linux counts the memory
// of whoever starts a process as that process's own, and this one has much.
func (c *contender) time(t *testing.T, args []string) measured {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{timeCommand}, args...)...)
	cmd.Dir, cmd.Env = c.dir, c.env
	var said, reply bytes.Buffer
	cmd.Stdout, cmd.Stderr = &reply, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %q: %v\n%s", c.name, args, err, said.String())
	}
	var took [3]int64
	if _, err := fmt.Sscan(reply.String(), &took[0], &took[1], &took[2]); err != nil {
		t.Fatalf("%s: %q: %q: %v", c.name, args, reply.String(), err)
	}
	return measured{wall: time.Duration(took[0]), cpu: time.Duration(took[1]), peak: took[2]}
}

// timeCommand begins the arguments of the process that times a command.
const timeCommand = "bench-time"

// runTimed runs a command and prints what it took.
func runTimed(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	wall := time.Since(start)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	// getrusage(2): in KiB on Linux.
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	_, err := fmt.Println(int64(wall), int64(cpu), peak)
	return err
}

// peakOf is the most memory that a process has had.
func peakOf(t *testing.T, pid int) int64 {
	t.Helper()
	file := fmt.Sprintf("/proc/%d/status", pid)
	status, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatalf("VmHWM in %s: %v", file, err)
	}
	return kib << 10
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

func (c *contender) cpu() time.Duration {
	return median(c.results, func(m measured) time.Duration { return m.cpu })
}

func (c *contender) peak() string {
	return fmt.Sprintf("%d MB", median(c.results, func(m measured) int64 { return m.peak })/1e6)
}

// compare prints the medians, and the first contender's ratio to each other one.
func compare(t *testing.T, what string, contenders ...*contender) {
	t.Helper()
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\tmedian\tfastest\tCPU\tpeak\t%s's ratio\tof CPU\t\n", what, contenders[0].name)
	for i, c := range contenders {
		fastest := slices.MinFunc(c.results, func(a, b measured) int { return cmp.Compare(a.wall, b.wall) }).wall
		ratio, ofCPU := "", ""
		if i > 0 {
			ratio = fmt.Sprintf("%.3f", float64(contenders[0].wall())/float64(c.wall()))
			ofCPU = fmt.Sprintf("%.3f", float64(contenders[0].cpu())/float64(c.cpu()))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.name, round(c.wall()), round(fastest), round(c.cpu()), c.peak(), ratio, ofCPU)
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

// atMost prints the ratio of the first of two to the second beside what it aims at.
func atMost(t *testing.T, limit float64, ours, theirs *contender) {
	t.Helper()
	aim(t, ours.name+" / "+theirs.name, float64(ours.wall())/float64(theirs.wall()), limit)
}

// aim prints a figure beside the most that it should be. It fails nothing: a machine
// that does other things too misses aims of its own.
func aim[N ~int64 | ~float64](t *testing.T, what string, got, most N) {
	t.Helper()
	verdict := "aim met"
	if got > most {
		verdict = "aim MISSED"
	}
	t.Logf("%s: %s is %s, at most %s", verdict, what, figure(got), figure(most))
}

func figure[N ~int64 | ~float64](n N) string {
	if d, ok := any(n).(time.Duration); ok {
		return round(d).String()
	}
	return fmt.Sprintf("%.3g", float64(n))
}
