package dashboard_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"knative.dev/pkg/ptr"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/view"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type answer struct {
	Error   string       `json:"error"`
	Hint    string       `json:"hint"`
	Changes []string     `json:"changes"`
	Service view.Service `json:"service"`
}

// split posts a split; from is the one that was shown, nil for none.
func (b *bench) split(version string, targets, from map[string]int) (int, answer) {
	b.t.Helper()
	type share struct {
		Revision string `json:"revision"`
		Percent  int    `json:"percent"`
	}
	body := map[string]any{"namespace": "default", "service": "hello", "resourceVersion": version}
	for field, shares := range map[string]map[string]int{"targets": targets, "from": from} {
		list := []share{}
		for _, revision := range slices.Sorted(maps.Keys(shares)) { // in the order of a page
			list = append(list, share{revision, shares[revision]})
		}
		if shares != nil {
			body[field] = list
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	status, text, _ := b.ask("POST", "/split", string(raw), bearer, "Content-Type: application/json")
	var out answer
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		b.t.Fatalf("%d %s: %v", status, text, err)
	}
	return status, out
}

func spec(svc *servingv1.Service) string {
	var out []string
	for _, t := range svc.Spec.Traffic {
		raw, _ := json.Marshal(t)
		out = append(out, string(raw))
	}
	return strings.Join(out, " ")
}

func TestSplit(t *testing.T) {
	b := newBench(t)
	tagged := to("hello-v2", 0)
	tagged.Tag = "next"
	svc := b.deploy("hello", to("hello-v1", 100), tagged)
	status, got := b.split(svc.ResourceVersion, map[string]int{"hello-v1": 30, "hello-v2": 70}, nil)
	if status != http.StatusOK || strings.Join(got.Changes, ", ") != "hello-v1 100 % → 30 %, hello-v2 (next) 0 % → 70 %" {
		t.Fatalf("%d %+v", status, got)
	}
	now := b.service("hello")
	const want = `{"revisionName":"hello-v1","latestRevision":false,"percent":30} {"tag":"next","revisionName":"hello-v2","latestRevision":false,"percent":70}`
	if spec(now) != want {
		t.Errorf("%s\nwant\n%s", spec(now), want)
	}
	if got.Service.ResourceVersion != now.ResourceVersion {
		t.Errorf("answered version %s, stored is %s", got.Service.ResourceVersion, now.ResourceVersion)
	}
	past, err := traffic.History(now.Annotations[traffic.HistoryKey])
	if err != nil || len(past) != 1 || past[0].Split.String() != "hello-v1=100 hello-v2(next)=0" {
		t.Errorf("history %v, %v", past, err)
	}
}

func TestSplitConflict(t *testing.T) {
	b := newBench(t)
	shown := b.deploy("hello", to("hello-v1", 100))
	other := shown.DeepCopy()
	other.Spec.Traffic = []servingv1.TrafficTarget{to("hello-v1", 80), to("hello-v2", 20)}
	other.Status.Traffic = other.Spec.Traffic
	if _, err := b.store.Update(other); err != nil {
		t.Fatal(err)
	}
	before := b.service("hello")
	half := map[string]int{"hello-v1": 50, "hello-v2": 50}

	status, got := b.split(shown.ResourceVersion, half, map[string]int{"hello-v1": 100})
	if status != http.StatusConflict || strings.Join(got.Changes, ", ") != "hello-v1 100 % → 80 %, hello-v2 0 % → 20 %" || !strings.Contains(got.Hint, "hello-v1=80 hello-v2=20") {
		t.Errorf("%d %+v", status, got)
	}
	// Without the split that was shown the version alone decides.
	if status, got := b.split(shown.ResourceVersion, half, nil); status != http.StatusConflict || len(got.Changes) != 0 {
		t.Errorf("%d %+v", status, got)
	}
	if now := b.service("hello"); now.ResourceVersion != before.ResourceVersion {
		t.Error("something was written")
	}
}

// A service that has changed in another way, its status for example, is no conflict.
func TestSplitOfAnotherVersion(t *testing.T) {
	b := newBench(t)
	shown := b.deploy("hello", to("hello-v1", 100))
	other := shown.DeepCopy()
	other.Status.Traffic = nil
	if _, err := b.store.UpdateStatus(other); err != nil {
		t.Fatal(err)
	}
	if status, got := b.split(shown.ResourceVersion, map[string]int{"hello-v2": 100}, map[string]int{"hello-v1": 100}); status != http.StatusOK {
		t.Errorf("%d %+v", status, got)
	}
}

// Who follows the latest revision goes on with that when nothing changes.
func TestSplitOfTheLatest(t *testing.T) {
	b := newBench(t)
	svc := b.deploy("hello", servingv1.TrafficTarget{LatestRevision: ptr.Bool(true), Percent: ptr.Int64(100)})
	status, got := b.split(svc.ResourceVersion, map[string]int{"hello-v1": 0, "hello-v2": 100}, map[string]int{"hello-v2": 100})
	if status != http.StatusOK || len(got.Changes) != 0 || b.service("hello").ResourceVersion != svc.ResourceVersion {
		t.Fatalf("%d %+v", status, got)
	}
	if status, got := b.split(svc.ResourceVersion, map[string]int{"hello-v1": 50, "hello-v2": 50}, map[string]int{"hello-v2": 100}); status != http.StatusOK {
		t.Fatalf("%d %+v", status, got)
	}
	const want = `{"revisionName":"hello-v1","latestRevision":false,"percent":50} {"revisionName":"hello-v2","latestRevision":false,"percent":50}`
	if now := spec(b.service("hello")); now != want {
		t.Error(now)
	}
}

func TestSplitRefused(t *testing.T) {
	b := newBench(t)
	svc := b.deploy("hello", to("hello-v1", 100))
	for name, c := range map[string]struct {
		version string
		targets map[string]int
		want    int
		says    string
	}{
		"sum":         {svc.ResourceVersion, map[string]int{"hello-v1": 50, "hello-v2": 49}, 400, "sum to 99"},
		"negative":    {svc.ResourceVersion, map[string]int{"hello-v1": 150, "hello-v2": -50}, 400, "no share"},
		"unknown":     {svc.ResourceVersion, map[string]int{"hello-v9": 100}, 409, "is gone"},
		"nothing":     {svc.ResourceVersion, map[string]int{}, 400, "sum to 0"},
		"no version":  {"", map[string]int{"hello-v2": 100}, 400, "resourceVersion"},
		"not a share": {svc.ResourceVersion, map[string]int{"hello-v1": 1 << 40}, 400, "no share"},
	} {
		status, got := b.split(c.version, c.targets, nil)
		if status != c.want || !strings.Contains(got.Error, c.says) {
			t.Errorf("%s: %d %+v, want %d %q", name, status, got, c.want, c.says)
		}
	}
	for body, want := range map[string]int{
		`{`: 400, `[]`: 400, `{"targetz":[]}`: 400,
		`{"namespace":"default","service":"none","resourceVersion":"1","targets":[]}`:                                           404,
		`{"namespace":"default","service":"hello","resourceVersion":"` + svc.ResourceVersion + `","targets":[{"percent":1.5}]}`: 400,
		`{"service":"` + strings.Repeat("x", 2<<20) + `"}`:                                                                      400,
	} {
		if status, text, _ := b.ask("POST", "/split", body, bearer, "Content-Type: application/json"); status != want {
			t.Errorf("%.60s: %d %s", body, status, text)
		}
	}
	if now := b.service("hello"); now.ResourceVersion != svc.ResourceVersion {
		t.Error("something was written")
	}
}
