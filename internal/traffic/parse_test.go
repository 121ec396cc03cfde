package traffic

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParse(t *testing.T) {
	tests := []struct {
		args string
		want Edit
	}{
		{"v1=50 v2=50", Edit{{"v1", 50}, {"v2", 50}}},
		{"v1=50% v2=50%", Edit{{"v1", 50}, {"v2", 50}}},
		{"v1=50,v2=50", Edit{{"v1", 50}, {"v2", 50}}},
		{"v1 v2=30", Edit{{"v1", 70}, {"v2", 30}}},
		{"v2=30 v1", Edit{{"v2", 30}, {"v1", 70}}},
		{"v2=100 v1", Edit{{"v2", 100}, {"v1", 0}}},
		{"v2=100 v1=0", Edit{{"v2", 100}, {"v1", 0}}},
		{"v2", Edit{{"v2", 100}}},
		{"@latest=10 hello-v1=90", Edit{{"@latest", 10}, {"hello-v1", 90}}},
		{"git:1a2b3c=5 sha256:abcdef=95", Edit{{"git:1a2b3c", 5}, {"sha256:abcdef", 95}}},
	}
	for _, tt := range tests {
		got, err := Parse(strings.Fields(tt.args))
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.args, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%s): -want +got:\n%s", tt.args, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ args, text, hint string }{
		{"v1=50 v2=49", "the shares sum to 99: 1 % missing", "v1=50 OTHER"},
		{"v1=50 v2=51", "the shares sum to 101: 1 % too many", "sum to 100"},
		{"v1=80 v2=30 v3", "the shares sum to 110: 10 % too many", "sum to 100"},
		{"v1=0", "the shares sum to 0: 100 % missing", "the rest"},
		{"v1=-10 v2=110", "v1=-10: a percentage cannot be negative", "0 to 100"},
		{"v1=101", "v1=101: a percentage cannot be more than 100", "0 to 100"},
		{"v1=33.3 v2", "v1=33.3: percentages are whole numbers", "steps of 1 %"},
		{"v1=5e1 v2", "v1=5e1: percentages are whole numbers", "steps of 1 %"},
		{"v1=+50 v2", "v1=+50: shares are absolute", "v1=50"},
		{"v1=half v2", `v1=half: "half" is not a percentage`, "whole numbers"},
		{"v1=99999999999999999999 v2", "is not a percentage", "whole numbers"},
		{"v1= v2=50", "v1=: the percentage is missing", "v1=50"},
		{"v1=% v2=50", "v1=%: the percentage is missing", "v1=50"},
		{"v1=50 v1=50", "v1 is named twice", "one share"},
		{"v1 v2", "v1 and v2 both leave out their share", "v2=50"},
		{"=50 v2", `"=50" is not TARGET=PERCENT`, "v1=90"},
		{"v1=5=50", `"v1=5=50" is not TARGET=PERCENT`, "v1=90"},
		{"", `"" is not TARGET=PERCENT`, "v1=90"},
		{"v1=50,", `"" is not TARGET=PERCENT`, "v1=90"},
	}
	for _, tt := range tests {
		_, err := Parse(strings.Fields(tt.args))
		checkFault(t, tt.args, err, fault.Usage, tt.text, tt.hint)
	}
}

// checkFault compares kind, and looks for pieces of the text and the hint.
func checkFault(t *testing.T, name string, err error, kind fault.Kind, text, hint string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("%s: kind %v, want %v", name, got, kind)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("%s: error %q lacks %q", name, err, text)
	}
	if !strings.Contains(fault.HintOf(err), hint) {
		t.Errorf("%s: hint %q lacks %q", name, fault.HintOf(err), hint)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"v1=50 v2=50", "v1 v2=30", "@latest=10% x", "v1=-1", "v1=5=5", ",", "a=0,b=100", "git:ab=1,b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		edit, err := Parse(strings.Split(text, " "))
		if err != nil {
			if fault.KindOf(err) != fault.Usage || err.Error() == "" {
				t.Fatalf("Parse(%q): %v is no usage error", text, err)
			}
			return
		}
		sum := 0
		for _, s := range edit {
			if s.Percent < 0 || s.Percent > 100 || s.Ref == "" {
				t.Fatalf("Parse(%q): share %+v", text, s)
			}
			sum += s.Percent
		}
		if sum != 100 {
			t.Fatalf("Parse(%q): sums to %d", text, sum)
		}
		again, err := Parse(strings.Split(edit.String(), " "))
		if err != nil {
			t.Fatalf("%q was printed as %q, which does not parse: %v", text, edit, err)
		}
		if diff := cmp.Diff(edit, again); diff != "" {
			t.Fatalf("%q changed over printing and parsing: %s", text, diff)
		}
	})
}

func TestParsePart(t *testing.T) {
	got, err := ParsePart([]string{"v1=10,v2=20%", "@latest=70"})
	if diff := cmp.Diff(Edit{{"v1", 10}, {"v2", 20}, {"@latest", 70}}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for text, says := range map[string]string{"v1": "not TARGET=PERCENT", "v1=60,v2=50": "10 % too many", "v1=1,v1=2": "named twice", "v1=x": "not a percentage"} {
		_, err := ParsePart([]string{text})
		checkFault(t, text, err, fault.Usage, says, "")
	}
}
