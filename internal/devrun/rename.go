package devrun

import (
	"bytes"
	"io"
	"sync"
)

// renamer writes the output of a program with the names of folders as the user
// knows them: the program runs from a copy, and its stack traces shall name the
// files that one edits. All else goes on at once, as it is.
type renamer struct {
	mu    sync.Mutex
	to    io.Writer
	shown []Shown
	held  []byte // may be the beginning of a name
}

func newRenamer(to io.Writer, shown []Shown) *renamer { return &renamer{to: to, shown: shown} }

// Write implements io.Writer.
func (r *renamer) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := append(r.held, p...)
	for _, s := range r.shown {
		text = bytes.ReplaceAll(text, []byte(s.From), []byte(s.To))
	}
	keep := 0
	for _, s := range r.shown {
		keep = max(keep, beginning(text, s.From))
	}
	r.held = bytes.Clone(text[len(text)-keep:])
	if _, err := r.to.Write(text[:len(text)-keep]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// beginning returns how many bytes at the end of text may be the start of name.
func beginning(text []byte, name string) int {
	for n := min(len(name)-1, len(text)); n > 0; n-- {
		if bytes.HasSuffix(text, []byte(name[:n])) {
			return n
		}
	}
	return 0
}

// flush writes what was held back.
func (r *renamer) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Whoever reads the output has gone away.
	_, _ = r.to.Write(r.held)
	r.held = nil
}

// tail is the end of what was written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// maxTail is enough for the last words of a program.
const maxTail = 8 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = bytes.Clone(t.text[max(0, len(t.text)-maxTail):])
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.text)
}
