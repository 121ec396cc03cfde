package term

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	names, titles := []string{"go", "node"}, []string{"Go", "JavaScript"}
	for input, want := range map[string]string{"1\n": "go", "NODE\n": "node", " 2 ": "node", "3\nrust\n\nnode\n": "node"} {
		s, out, err := Test()
		s.In = strings.NewReader(input)
		if got, e := s.Choose(t.Context(), "Which?", names, titles); e != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", input, got, e, want)
		}
		if out.Len() > 0 || !strings.HasPrefix(err.String(), "Which?\n  1) go  Go\n  2) node  JavaScript\n1-2: ") {
			t.Errorf("%q: stdout %q, stderr %q", input, out, err)
		}
	}
	s, _, _ := Test()
	s.In = strings.NewReader("maybe")
	if _, err := s.Choose(t.Context(), "Which?", names, titles); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
