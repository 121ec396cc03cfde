package dockerfile

import (
	"slices"
	"strings"
	"testing"
)

func TestLineWriter(t *testing.T) {
	long := strings.Repeat("x", maxLine+5)
	for _, tt := range []struct {
		writes, want []string
	}{
		{[]string{"a\nb", "c\n", "d"}, []string{"a", "bc", "d"}},
		{[]string{"a\r\n", "\n\n", "b\r", "\n"}, []string{"a", "", "", "b"}},
		{[]string{long + "\n"}, []string{long[:maxLine], "xxxxx"}},
		{[]string{long[:10], long[10:], "\n"}, []string{long[:maxLine], "xxxxx"}},
		{[]string{long[:maxLine], "\n"}, []string{long[:maxLine]}},
		{[]string{"", "\n"}, []string{""}},
		{nil, nil},
	} {
		var got []string
		w := &lineWriter{write: func(line string) { got = append(got, line) }}
		for _, p := range tt.writes {
			if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		w.flush()
		if !slices.Equal(got, tt.want) {
			t.Errorf("%.40q: %.40q, want %.40q", tt.writes, got, tt.want)
		}
	}
}

// Time must grow with the number of bytes, and not with its square.
func TestManyShortLines(t *testing.T) {
	block, lines := []byte(strings.Repeat("y\n", 32<<10)), 0
	w := &lineWriter{write: func(string) { lines++ }}
	for range 64 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if lines != 64*32<<10 {
		t.Errorf("%d lines", lines)
	}
	copied := testing.AllocsPerRun(1, func() { _, _ = w.Write(block) })
	if copied > 3*32<<10 {
		t.Errorf("%.0f allocations for %d lines", copied, 32<<10)
	}
}
