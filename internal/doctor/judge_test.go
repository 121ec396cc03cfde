package doctor

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// judged is one row of a judging function's table.
type judged struct {
	what string
	got  Finding
	want Result
	says string // part of the detail
}

func check(t *testing.T, rows []judged) {
	t.Helper()
	for _, r := range rows {
		if r.got.Result != r.want || !strings.Contains(r.got.Detail, r.says) {
			t.Errorf("%s: %+v, want %s and %q", r.what, r.got, r.want, r.says)
		}
		if (r.want == Fail || r.want == Warn) != (r.got.Fix != "") {
			t.Errorf("%s: fix %q", r.what, r.got.Fix)
		}
	}
}

func TestClock(t *testing.T) {
	sent := time.Date(2026, 3, 1, 12, 0, 0, 900e6, time.UTC)
	received := sent.Add(2 * time.Second)
	at := func(d time.Duration) Finding { return Clock(sent.Add(d).Truncate(time.Second), sent, received) }
	check(t, []judged{
		{"no header", Clock(time.Time{}, sent, received), Skip, "does not say"},
		{"the same second", at(0), OK, ""},
		{"answered at the end", at(2 * time.Second), OK, ""},
		{"29 s", at(31 * time.Second), OK, ""},
		{"a minute ahead there", at(62 * time.Second), Warn, "behind the API server"},
		{"a minute behind there", at(-time.Minute), Warn, "ahead of the API server"},
		{"an hour", at(-time.Hour), Fail, "tokens and certificates"},
		{"another hour", at(time.Hour), Fail, "behind"},
	})
}

func TestRights(t *testing.T) {
	check(t, []judged{
		{"all", Rights("demo", nil, nil), OK, "namespace demo"},
		{"no logs", Rights("demo", nil, []string{"get pods/log"}), Warn, "get pods/log"},
		{"no deploy", Rights("demo", []string{"create services.serving.knative.dev", "list revisions.serving.knative.dev"}, []string{"get pods/log"}), Fail, "create services.serving.knative.dev, list"},
	})
	fix := Rights("demo", []string{"a b", "c d"}, nil).Fix
	if !strings.Contains(fix, "kubectl auth can-i a b -n demo\nkubectl auth can-i c d -n demo") {
		t.Error(fix)
	}
}

func TestIngress(t *testing.T) {
	kourier := map[string]string{"ingress-class": "kourier.ingress.networking.knative.dev", "_example": "x"}
	check(t, []judged{
		{"neither", Ingress(nil, nil), Skip, "may not be read"},
		{"no domain to see", Ingress(kourier, nil), OK, "class kourier"},
		{"no class to see", Ingress(nil, map[string]string{"corp.example": ""}), OK, "class unknown, domain corp.example"},
		{"none", Ingress(kourier, map[string]string{"_example": "x"}), Warn, "no domain"},
		{"the example", Ingress(map[string]string{}, map[string]string{"example.com": ""}), Warn, "class istio"},
		{"the older key", Ingress(map[string]string{"ingress.class": "traefik.x"}, map[string]string{"b.example": "", "a.example": "selector: {}"}), OK, "class traefik, domain a.example, b.example"},
	})
}

func TestPull(t *testing.T) {
	check(t, []judged{
		{"both here", Pull("127.0.0.1:5000", "https://127.0.0.1:6443"), OK, ""},
		{"both there", Pull("registry.example", "https://cluster.example"), OK, ""},
		{"the cluster here", Pull("registry.example", "https://[::1]:6443"), OK, ""},
		{"the registry here", Pull("localhost:5000", "https://cluster.example:6443"), Warn, "each node of cluster.example:6443"},
		{"the registry here, by IPv6", Pull("[::1]:5000", "https://10.0.0.1"), Warn, "on itself"},
	})
}

func TestSpace(t *testing.T) {
	check(t, []judged{
		{"enough", Space("/c", 5<<30), OK, "5.0 GiB"},
		{"little", Space("/c", 300<<20), Warn, "300 MiB"},
		{"none", Space("/c", 1<<20), Fail, "1 MiB"},
	})
}

func TestToolchain(t *testing.T) {
	have := func(programs ...string) func(string) bool {
		return func(p string) bool { return slices.Contains(programs, p) }
	}
	check(t, []judged{
		{"it is there", Toolchain("go", have("go")), OK, "go"},
		{"it is not", Toolchain("go", have("node")), Fail, "the program go "},
		{"half of it", Toolchain("node", have("node")), Fail, "the program npm "},
		{"one of two", Toolchain("java", have("javac", "gradle")), OK, "java"},
		{"none of two", Toolchain("java", have("javac")), Fail, "mvn or gradle"},
		{"no function", Toolchain("", have("node", "npm", "go")), Skip, "go, node, typescript"},
		{"nothing at all", Toolchain("", have()), Skip, "a Dockerfile needs none"},
		{"unknown", Toolchain("cobol", have()), Skip, "cobol"},
	})
}
