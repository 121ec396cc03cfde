package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// route answers as an ingress with two revisions does: first percent of the requests
// go to v1, those by its tag all.
type route struct {
	first    int
	answer   func(revision string, n int64) string
	asked    atomic.Int64
	revealed bool // in a header
}

func (r *route) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	n := r.asked.Add(1)
	revision := "hello-v2"
	if strings.HasPrefix(request.Host, "blue-") || !strings.HasPrefix(request.Host, "green-") && int(n*7%100) < r.first {
		revision = "hello-v1"
	}
	if r.revealed {
		w.Header().Set("X-Revision", revision)
	}
	fmt.Fprint(w, r.answer(revision, n))
}

// TestVerify: requests are counted by whoever answered, where that can be known.
func TestVerify(t *testing.T) {
	t.Parallel()
	each := func(revision string, _ int64) string { return revision }
	for name, tt := range map[string]struct {
		route  *route
		header string
		tags   []traffic.Tagging
		kind   fault.Kind
		says   string
	}{
		"by a header":                   {route: &route{first: 30, answer: each, revealed: true}, header: "X-Revision"},
		"another split, by a header":    {route: &route{first: 60, answer: each, revealed: true}, header: "X-Revision", kind: fault.Timeout, says: "hello-v1 120 of 200 (30 %)"},
		"a header that is not there":    {route: &route{first: 30, answer: each}, header: "X-Revision", kind: fault.Timeout, says: "unknown 200 of 200 (0 %)"},
		"by the answers of tags":        {route: &route{first: 30, answer: each}, tags: []traffic.Tagging{{Ref: "v2", Tag: "green"}}},
		"another split, by the answers": {route: &route{first: 0, answer: each}, tags: []traffic.Tagging{{Ref: "v2", Tag: "green"}}, kind: fault.Timeout, says: "hello-v1 0 of 200 (30 %)"},
		"without a tag":                 {route: &route{first: 30, answer: each}, kind: fault.Failure, says: "hello-v2 has no tag"},
		"the same answers":              {route: &route{first: 30, answer: func(string, int64) string { return "ok" }}, tags: []traffic.Tagging{{Ref: "v2", Tag: "green"}}, kind: fault.Failure, says: "answer the same"},
		"answers that are never the same": {
			route: &route{first: 30, answer: func(_ string, n int64) string { return fmt.Sprint(n) }},
			tags:  []traffic.Tagging{{Ref: "v2", Tag: "green"}}, kind: fault.Failure, says: "does not answer twice the same",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.route)
			defer server.Close()
			a, seen := stubbed(t, server.URL)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			if tt.kind == fault.Timeout {
				ctx, cancel = context.WithTimeout(t.Context(), 4*time.Second)
			}
			defer cancel()
			out, err := a.Split(ctx, SplitRequest{
				Target: hello, Want: traffic.Request{Edit: traffic.Edit{{Ref: "v1", Percent: 30}, {Ref: "v2", Percent: 70}}, Tag: tt.tags},
				Verify: &VerifyRequest{Header: tt.header},
			})
			if out == nil || !out.Changed || out.Spec.Percent("hello-v1", "") != 30 {
				t.Fatalf("the split is %+v, %v", out, err)
			}
			if tt.says != "" {
				if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) || fault.HintOf(err) == "" {
					t.Errorf("%v\n%v", err, seen.Lines())
				}
				return
			}
			if err != nil || !out.Verified.Good() || out.Verified.Requests != 200 || out.Verified.Sample["hello-v1"] != 60 {
				t.Errorf("%+v, %v", out.Verified, err)
			}
		})
	}
}

func TestVerifyPath(t *testing.T) {
	a, _ := stubbed(t, "")
	_, err := a.Split(t.Context(), SplitRequest{Target: hello, Want: traffic.Request{Edit: traffic.Edit{{Ref: "v1", Percent: 100}}}, Verify: &VerifyRequest{Path: "http://elsewhere/"}})
	if fault.KindOf(err) != fault.Usage {
		t.Error(err)
	}
}
