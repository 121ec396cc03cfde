package lang

import (
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestFindToolSaysTheOtherRoads(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := FindTool("cobol", "cobc", "install GnuCOBOL")
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), `the program "cobc" is needed`) {
		t.Errorf("got %v (%v)", err, fault.KindOf(err))
	}
	for _, want := range []string{"install GnuCOBOL\n", "{Builder} dockerfile", "{Builder} cluster", "deploy {Image} REF"} {
		if hint := fault.HintOf(err); !strings.Contains(hint, want) {
			t.Errorf("the hint has no %q: %s", want, hint)
		}
	}
}
