package house

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

const root = "../.."

// The limits. Where a goal is not reached yet the limit holds the line at what
// has been: it may be tightened, and loosened only by a page in docs/decisions.
const (
	maxFileLines     = 500
	maxFileLinesP90  = 300
	maxPackageMedian = 660  // the goal is 200
	minTestRatio     = 0.60 // the goal is 1.0
)

func TestHouseNumbers(t *testing.T) {
	files, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	var code, test int
	for _, f := range files {
		if f.Test {
			test += f.Code
			continue
		}
		code += f.Code
		lines = append(lines, f.Lines)
		if f.Lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d: it is probably two things in one room", f.Path, f.Lines, maxFileLines)
		}
		if f.Path != "cmd/kn-lite/main.go" {
			complain(t, f.Exits, "os.Exit: return an error with a kind; main.go exits")
		}
		complain(t, f.Inits, "init(): construct what is needed where it is needed")
		complain(t, f.Prints, "fmt.Print: only internal/term writes to the streams")
		complain(t, f.Sleeps, "time.Sleep: every wait has a context and a deadline")
		complain(t, f.Loose, "a note to self: do it, or write it down where others look")
		if vague := []string{"util", "utils", "common", "helpers", "misc", "base"}; slices.Contains(vague, f.Package) || slices.Contains(vague, path.Base(path.Dir(f.Path))) {
			t.Errorf("%s: a package is named after what it provides, not %q", f.Path, f.Package)
		}
	}
	packages := Packages(files)
	sizes := slices.Collect(maps.Values(packages))
	p90, median, ratio := quantile(lines, 0.9), quantile(sizes, 0.5), float64(test)/float64(code)
	t.Logf("%d packages, %d lines of code, %d of tests (%.2f)", len(packages), code, test, ratio)
	t.Logf("file length: p90 %d, largest %d; package code: median %d", p90, slices.Max(lines), median)
	if p90 > maxFileLinesP90 {
		t.Errorf("p90 of the files' lengths is %d lines, at most %d", p90, maxFileLinesP90)
	}
	if median > maxPackageMedian {
		t.Errorf("the median package has %d lines of code, at most %d", median, maxPackageMedian)
	}
	if ratio < minTestRatio {
		t.Errorf("%.2f lines of test for a line of code, at least %.2f", ratio, minTestRatio)
	}
}

// TestFactory holds that commands take what they need: methods of the Factory are
// at hand everywhere, and soon everything is one.
func TestFactory(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "internal/cli/*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	var methods []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func \(f \*Factory\) (\w+)`).FindAllSubmatch(text, -1) {
			methods = append(methods, string(m[1]))
		}
	}
	const most = 15
	t.Logf("cli.Factory has %d methods", len(methods))
	if len(methods) == 0 || len(methods) > most {
		t.Errorf("cli.Factory has %d methods, at most %d: %v", len(methods), most, methods)
	}
}

func complain(t *testing.T, places []string, why string) {
	t.Helper()
	for _, place := range places {
		t.Errorf("%s: %s", place, why)
	}
}

func TestCount(t *testing.T) {
	const text = `package common

// TODO: never
import (
	"fmt"
	"os"
)

/* a block
   of words */
func init() { fmt.Println("x") } // trailing

func run() {

	os.Exit(1)
}
`
	got, err := Count("internal/common/x.go", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != 9 || got.Lines != 16 {
		t.Errorf("code %d, lines %d, want 9 and 16", got.Code, got.Lines)
	}
	for name, places := range map[string][]string{"init": got.Inits, "exit": got.Exits, "print": got.Prints, "loose end": got.Loose} {
		if len(places) != 1 {
			t.Errorf("%s: found at %v, want one place", name, places)
		}
	}
}

func TestQuantile(t *testing.T) {
	values := []int{5, 1, 4, 2, 3, 10, 9, 8, 7, 6}
	if got := quantile(values, 0.9); got != 10 {
		t.Errorf("p90 = %d, want 10", got)
	}
	if got := quantile(values, 0.5); got != 6 {
		t.Errorf("median = %d, want 6", got)
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}
