package top

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/local/view"
	"github.com/kn-lite/kn-lite/internal/term"
)

func topState(at time.Duration, total uint64) *view.State {
	return &view.State{
		At: time.Unix(1000, 0).Add(at), Instances: 1,
		Services: []view.Service{
			{Namespace: "default", Name: "broken", Ready: "False", Reason: "RevisionFailed", Message: "no such module", Revisions: []view.Revision{
				{Name: "broken-v1", Ready: "False", Reason: "ExitCode1", Message: "it has ended", Pods: []view.Pod{{Name: "p", State: "CrashLoopBackOff", Restarts: 3}}},
			}},
			{Namespace: "default", Name: "hello", Ready: "True", URL: "http://hello", Revisions: []view.Revision{
				{Name: "hello-v3", Ready: "Unknown", Pods: []view.Pod{{Name: "c", State: "Starting"}}},
				{Name: "hello-v2", Ready: "True", Percent: 60, Tags: []string{"next"}, Pods: []view.Pod{{Name: "a", State: "Serving"}}, Requests: view.Requests{Total: total, Failed: 2, Median: 2400 * time.Microsecond, P95: 1500 * time.Millisecond}},
				{Name: "hello-v1", Ready: "True", Percent: 40},
				{Name: "hello-v0", Ready: "True"},
			}},
			{Namespace: "default", Name: "waiting", Ready: "Unknown"},
		},
	}
}

func screenText(s term.Screen) string {
	var out []string
	for _, r := range s.Rows {
		var cells []string
		for _, c := range r.Cells {
			cells = append(cells, c.Text)
		}
		out = append(out, strings.Join(cells, "|"))
	}
	return strings.Join(out, "\n")
}

func TestTopScreen(t *testing.T) {
	m := &meter{}
	m.update(topState(0, 100))
	m.update(topState(2*time.Second, 150))
	s := m.screen(&local.Info{}, nil)
	if s.Title != "kn-lite local   3 services   1 instance   25 req/s" || s.Problem != "" {
		t.Errorf("%q, %q", s.Title, s.Problem)
	}
	const want = `broken|v1|··········   0 %|ExitCode1|0 + 1 CrashLoopBackOff|0|-|-|0|0
hello|v3|··········   0 %|Starting|0 + 1 Starting|0|-|-|0|0
hello|v2 #next|■■■■■■····  60 %|Ready|1|25|2.4ms|1.5s|150|2
hello|v1|■■■■······  40 %|Ready|0|0|-|-|0|0
waiting|||Starting`
	if got := screenText(s); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := strings.Join(s.Rows[0].Detail, "\n"); got != "broken\nbroken-v1: ExitCode1: it has ended\np CrashLoopBackOff (3 restarts)" {
		t.Error(got)
	}
	// A platform that was started anew counts from zero.
	m.update(topState(3*time.Second, 1))
	if rate := m.rates["default/hello-v2"]; rate != 0 {
		t.Errorf("%v requests per second", rate)
	}
}

func TestTopWithoutPlatform(t *testing.T) {
	m := &meter{}
	if s := m.screen(nil, nil); len(s.Rows) != 0 || !strings.Contains(s.Problem, "does not run") {
		t.Errorf("%+v", s)
	}
	m.update(topState(0, 1))
	if s := m.screen(nil, errors.New("no answer")); len(s.Rows) == 0 || !strings.Contains(s.Problem, "no answer") {
		t.Errorf("%+v", s)
	}
}

func TestTopTable(t *testing.T) {
	io, out, _ := term.Test()
	if err := io.Write(Table(topState(0, 100))); err != nil {
		t.Fatal(err)
	}
	const want = `NAMESPACE   SERVICE   REVISION    TRAFFIC   READY       INSTANCES                REQUESTS   FAILED   MEDIAN   P95
default     broken    broken-v1   0 %       ExitCode1   0 + 1 CrashLoopBackOff   0          0        -        -
default     hello     hello-v3    0 %       Starting    0 + 1 Starting           0          0        -        -
default     hello     hello-v2    60 %      Ready       1                        100        2        2.4ms    1.5s
default     hello     hello-v1    40 %      Ready       0                        0          0        -        -
default     waiting                         Starting
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
}

func TestBar(t *testing.T) {
	for percent, want := range map[int64]string{0: "··········   0 %", 4: "··········   4 %", 5: "■·········   5 %", 100: "■■■■■■■■■■ 100 %", 101: "■■■■■■■■■■ 101 %", -3: "··········  -3 %"} {
		if got := bar(percent); got != want {
			t.Errorf("%d: %s, want %s", percent, got, want)
		}
	}
}
