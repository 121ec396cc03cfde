package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// miss is a test that is known not to pass where all its facts hold.
type miss struct {
	facts  []string
	test   string
	reason string
}

// misses are those that apply to this run.
type misses []miss

// readMisses reads the known misses and returns those whose facts hold. A line is
// FACT[,FACT...] TEST REASON.
func readMisses(file string, facts []string) (misses, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var apply misses
	for line := range strings.Lines(string(text)) {
		line, _, _ := strings.Cut(strings.TrimSpace(line), "#")
		if line == "" {
			continue
		}
		words := strings.Fields(line)
		if len(words) < 3 {
			return nil, fmt.Errorf("%s: %q: want FACT[,FACT...] TEST REASON", file, line)
		}
		m := miss{facts: strings.Split(words[0], ","), test: words[1], reason: strings.Join(words[2:], " ")}
		holds := func(fact string) bool { return slices.Contains(facts, fact) }
		if !slices.ContainsFunc(m.facts, func(fact string) bool { return !holds(fact) }) {
			apply = append(apply, m)
		}
	}
	return apply, nil
}

// reason returns why the test is known not to pass, or "".
func (ms misses) reason(test string) string {
	for _, m := range ms {
		if m.test == test {
			return m.reason
		}
	}
	return ""
}

// unused returns the tests of misses that are not among the verdicts.
func (ms misses) unused(verdicts []verdict) []string {
	var names []string
	for _, m := range ms {
		if !slices.ContainsFunc(verdicts, func(v verdict) bool { return v.Name == m.test }) {
			names = append(names, m.test)
		}
	}
	return names
}

// verdict is a result compared with what was expected.
type verdict struct {
	*result
	State string // passed, missed, failed, skipped, unexpected pass
	Why   string
}

// asExpected reports whether the run may pass with this verdict.
func (v verdict) asExpected() bool { return v.State == "passed" || v.State == "missed" }

func judge(results []*result, known misses) []verdict {
	verdicts := make([]verdict, len(results))
	for i, r := range results {
		v := verdict{result: r, State: "passed"}
		reason := known.reason(r.Name)
		switch {
		case r.Outcome == "pass" && reason != "":
			v.State, v.Why = "unexpected pass", "misses.txt says: "+reason
		case r.Outcome == "pass":
			if len(r.Skipped) > 0 {
				v.Why = "without " + strings.Join(r.Skipped, ", ")
			}
		case reason != "":
			v.State, v.Why = "missed", reason
		case r.Outcome == "skip":
			v.State, v.Why = "skipped", lastLine(r.Output)
		case r.Outcome == "":
			v.State, v.Why = "failed", "it did not end"
		default:
			v.State = "failed"
		}
		verdicts[i] = v
	}
	return verdicts
}

// lastLine is the last thing that a skipped test says of itself.
func lastLine(output []string) string {
	for _, line := range slices.Backward(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") {
			return line
		}
	}
	return ""
}

// printTable prints one line for each test of a suite.
func printTable(w io.Writer, suite string, verdicts []verdict) {
	fmt.Fprintf(w, "\n%s\n", suite)
	for _, v := range verdicts {
		fmt.Fprintf(w, "  %-16s %-40s %6.1fs  %s\n", v.State, v.Name, v.Elapsed.Seconds(), v.Why)
	}
	fmt.Fprintf(w, "  %s of %d\n", count(verdicts), len(verdicts))
}

func count(verdicts []verdict) string {
	var parts []string
	for _, state := range []string{"passed", "missed", "failed", "skipped", "unexpected pass"} {
		n := 0
		for _, v := range verdicts {
			if v.State == state {
				n++
			}
		}
		if n > 0 || state == "passed" {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return strings.Join(parts, ", ")
}

// maxLines is how much of a failed test's output is shown; the log has the rest.
const maxLines = 60

// conclude shows what the unexpected failures said, last, where it is looked for.
func conclude(w io.Writer, verdicts []verdict) error {
	var bad []string
	for _, v := range verdicts {
		if v.asExpected() {
			continue
		}
		bad = append(bad, v.Name)
		lines := v.Output
		if len(lines) > maxLines {
			lines = lines[len(lines)-maxLines:]
		}
		fmt.Fprintf(w, "\n%s: %s\n%s", v.State, v.Name, strings.Join(lines, ""))
	}
	fmt.Fprintf(w, "\n%s of %d\n", count(verdicts), len(verdicts))
	switch {
	case len(verdicts) == 0:
		return errors.New("no test matches")
	case len(bad) > 0:
		return fmt.Errorf("not as expected: %s", strings.Join(bad, " "))
	}
	return nil
}
