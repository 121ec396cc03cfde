package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
)

// events is what test2json says of a run in which one test passes with a skipped
// subtest, one fails, one is skipped and two are ended by a panic.
const events = `{"Action":"start","Package":"p"}
{"Action":"run","Test":"TestPass"}
{"Action":"run","Test":"TestPass/part"}
{"Action":"output","Test":"TestPass/part","Output":"not here\n"}
{"Action":"skip","Test":"TestPass/part","Elapsed":0}
{"Action":"pass","Test":"TestPass","Elapsed":1.5}
{"Action":"run","Test":"TestFail"}
{"Action":"output","Test":"TestFail","Output":"wrong\n"}
{"Action":"output","Test":"TestFail/part","Output":"in a part\n"}
{"Action":"fail","Test":"TestFail/part","Elapsed":2}
{"Action":"fail","Test":"TestFail","Elapsed":0}
{"Action":"run","Test":"TestSkip"}
{"Action":"output","Test":"TestSkip","Output":"    x_test.go:7: needs two nodes\n"}
{"Action":"output","Test":"TestSkip","Output":"--- SKIP: TestSkip (0.00s)\n"}
{"Action":"skip","Test":"TestSkip","Elapsed":0}
{"Action":"run","Test":"TestPanic"}
no event at all
{"Action":"output","Package":"p","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p","Elapsed":3}
`

func read(t *testing.T) []*result {
	t.Helper()
	names := []string{"TestPass", "TestFail", "TestSkip", "TestPanic", "TestNever"}
	var ended []string
	results, err := readEvents(strings.NewReader(events), names, func(r *result) { ended = append(ended, r.Name) })
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"TestPass", "TestFail", "TestSkip"}; !slices.Equal(ended, want) {
		t.Errorf("ended: %v, want %v", ended, want)
	}
	return results
}

func TestEvents(t *testing.T) {
	results := read(t)
	var got []string
	for _, r := range results {
		got = append(got, r.Name+" "+r.Outcome+" "+r.Elapsed.String()+" "+strings.Join(r.Output, "|"))
	}
	want := []string{
		"TestPass pass 1.5s not here\n",
		"TestFail fail 2s wrong\n|in a part\n",
		"TestSkip skip 0s     x_test.go:7: needs two nodes\n|--- SKIP: TestSkip (0.00s)\n",
		"TestPanic  0s panic: test timed out\n",
		"TestNever  0s panic: test timed out\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name string
		misses
		want   []string
		passes bool
	}{
		{
			name: "nothing is known",
			want: []string{
				"passed without part", "failed ", "skipped x_test.go:7: needs two nodes", "failed it did not end", "failed it did not end",
			},
		},
		{
			name: "all is known",
			misses: misses{
				{test: "TestFail", reason: "no wheels"},
				{test: "TestSkip", reason: "one node"},
				{test: "TestPanic", reason: "slow"},
				{test: "TestNever", reason: "slow"},
			},
			want:   []string{"passed without part", "missed no wheels", "missed one node", "missed slow", "missed slow"},
			passes: true,
		},
		{
			name:   "what is known is no longer so",
			misses: misses{{test: "TestPass", reason: "no wheels"}},
			want: []string{
				"unexpected pass misses.txt says: no wheels",
				"failed ", "skipped x_test.go:7: needs two nodes", "failed it did not end", "failed it did not end",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			verdicts := judge(read(t), c.misses)
			var got []string
			for _, v := range verdicts {
				got = append(got, v.State+" "+v.Why)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			var out bytes.Buffer
			if err := conclude(&out, verdicts); (err == nil) != c.passes {
				t.Errorf("the run ends with %v", err)
			}
			// What failed is said, what is known is not said again.
			if shown := strings.Contains(out.String(), "in a part"); shown == c.passes {
				t.Errorf("the summary:\n%s", &out)
			}
		})
	}
	if err := conclude(&bytes.Buffer{}, nil); err == nil {
		t.Error("a run without a test passes")
	}
}

func TestMisses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "misses.txt")
	text := "# a comment\n\nlocal TestA never there\nlocal,ordinary TestB needs ids # as of today\ndevcluster TestC other\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		facts []string
		want  map[string]string
	}{
		{[]string{"local", "root"}, map[string]string{"TestA": "never there"}},
		{[]string{"ordinary", "local"}, map[string]string{"TestA": "never there", "TestB": "needs ids"}},
		{[]string{"devcluster", "root"}, map[string]string{"TestC": "other"}},
	} {
		known, err := readMisses(file, c.facts)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, name := range []string{"TestA", "TestB", "TestC", "TestD"} {
			if reason := known.reason(name); reason != "" {
				got[name] = reason
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.facts, diff)
		}
		passed := []verdict{{result: &result{Name: "TestA"}}, {result: &result{Name: "TestB"}}}
		if unknown := known.unused(passed); len(unknown) > 0 != (c.facts[0] == "devcluster") {
			t.Errorf("%v: unknown tests are %v", c.facts, unknown)
		}
	}
	if err := os.WriteFile(file, []byte("local TestA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readMisses(file, nil); err == nil || !strings.Contains(err.Error(), "TestA") {
		t.Errorf("a miss without a reason: %v", err)
	}
	// The real file is well-formed.
	if _, err := readMisses("misses.txt", nil); err != nil {
		t.Error(err)
	}
}

// TestImageTemplate executes the template as Knative's tests do.
func TestImageTemplate(t *testing.T) {
	references := map[string]string{"one": "r/one@sha256:1", "two": "r/two@sha256:2"}
	for _, c := range []struct {
		digests bool
		want    []string
	}{
		{true, []string{"r/one@sha256:1", "r/two@sha256:2", "reg:5000/conformance/none:latest"}},
		{false, []string{"reg:5000/conformance/one:latest", "reg:5000/conformance/two:latest", "reg:5000/conformance/none:latest"}},
	} {
		parsed, err := template.New("").Parse(imageTemplate(options{registry: "reg:5000", digests: c.digests}, references))
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"one", "two", "none"} {
			var b strings.Builder
			if err := parsed.Execute(&b, struct{ Repository, Name, Tag string }{Name: name}); err != nil {
				t.Fatal(err)
			}
			if b.String() != c.want[i] {
				t.Errorf("digests %t: %s is %s, want %s", c.digests, name, &b, c.want[i])
			}
		}
	}
}
