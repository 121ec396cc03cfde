package progress

import "sync"

// Once returns a Reporter that hands each note and each warning to r one time only:
// two platforms of one project are often warned of the same.
func Once(r Reporter) Reporter { return &once{Reporter: r, seen: map[string]bool{}} }

type once struct {
	Reporter
	mu   sync.Mutex
	seen map[string]bool
}

// Note implements Reporter.
func (o *once) Note(text string) {
	if o.first("note " + text) {
		o.Reporter.Note(text)
	}
}

// Warn implements Reporter.
func (o *once) Warn(text string) {
	if o.first("warn " + text) {
		o.Reporter.Warn(text)
	}
}

func (o *once) first(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.seen[text]
	o.seen[text] = true
	return !was
}
