package include

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
)

func TestOutside(t *testing.T) {
	top := t.TempDir()
	langtest.Write(t, top, map[string]string{
		"ws/Cargo.toml": "", "ws/app/Cargo.toml": "",
		"ws/app/src/main.rs": `const A: &str = include_str!("../../../a.txt"); const B: &[u8] = include_bytes!(r"../../inside.txt");
#[path = "../../../words/mod.rs"] mod words;
const C: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../c.txt"));
include!{"/etc/absolute.rs"}
// include_strange("../../../no.txt")
`,
		"ws/target/x.rs": `include_str!("../../../skipped.txt")`,
		"words/mod.rs":   `const D: &str = include_str!("d.txt");`,
	})
	got := Outside(filepath.Join(top, "ws"), func(name string, _ bool) (out, prune bool) { return name == "target", true })
	want := []string{"/etc/absolute.rs"}
	for _, name := range []string{"a.txt", "c.txt", "words/d.txt", "words/mod.rs"} {
		want = append(want, filepath.Join(top, name))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
