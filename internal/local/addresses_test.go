package local

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// What was pushed at an earlier address is looked for at this one first, and then
// where it says: another registry may be there by now.
func TestAddresses(t *testing.T) {
	p := Place{t.TempDir()}
	for n, want := range [][]string{nil, {"127.0.0.1:1"}, {"127.0.0.1:1", "127.0.0.1:2"}} {
		former, err := p.noteAddress(fmt.Sprintf("127.0.0.1:%d", n+1))
		if err != nil || len(former) != len(want) || len(want) > 0 && !cmp.Equal(former, want) {
			t.Errorf("start %d: %v, %v, want %v", n, former, err, want)
		}
	}
	former, err := p.noteAddress("127.0.0.1:1") // again
	if err != nil || !cmp.Equal(former, []string{"127.0.0.1:2", "127.0.0.1:3"}) {
		t.Errorf("at the first one again: %v, %v", former, err)
	}
	settings := map[string][]string{"docker.io": {"mirror.example"}, "127.0.0.1:2": {"mirror.example"}}
	got := (&Info{Address: "127.0.0.1:1", Former: former}).Mirrors(settings)
	want := map[string][]string{"docker.io": {"mirror.example"}, "127.0.0.1:2": {"127.0.0.1:1", "mirror.example"}, "127.0.0.1:3": {"127.0.0.1:1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(settings) != 2 || len(settings["127.0.0.1:2"]) != 1 {
		t.Errorf("the settings have changed: %v", settings)
	}
	for n := range 2 * addressesKept {
		if former, err = p.noteAddress(fmt.Sprintf("127.0.0.1:%d", 1000+n)); err != nil {
			t.Fatal(err)
		}
	}
	if len(former) != addressesKept {
		t.Errorf("%d addresses", len(former))
	}
	if err := os.WriteFile(p.file("addresses.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.noteAddress("127.0.0.1:1"); err == nil || !strings.Contains(fault.HintOf(err), "safe to remove") {
		t.Errorf("a damaged file: %v", err)
	}
}
