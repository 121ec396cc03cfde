package build

import "sync"

// Progress hears how a build goes on. Methods are called from several
// goroutines when several platforms are built.
type Progress interface {
	// Begin announces a stage, e.g. "compile for linux/arm64". Exactly one call
	// of Done or Fail on what it returns follows.
	Begin(stage string) Stage
	Note(text string) // worth knowing
	Warn(text string) // probably not what the user wants
	Raw(text string)  // output of the toolchain, as it is
}

// Stage is one part of a build under way.
type Stage interface {
	Done(what string)
	Fail()
}

// once says a thing once: two platforms of one project are often warned of the
// same.
type once struct {
	Progress
	mu   sync.Mutex
	said map[string]bool
}

func (o *once) Note(text string) {
	if o.first("note " + text) {
		o.Progress.Note(text)
	}
}

func (o *once) Warn(text string) {
	if o.first("warn " + text) {
		o.Progress.Warn(text)
	}
}

func (o *once) first(text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[text] {
		return false
	}
	if o.said == nil {
		o.said = map[string]bool{}
	}
	o.said[text] = true
	return true
}

type silent struct{}

func (silent) Begin(string) Stage { return silent{} }
func (silent) Note(string)        {}
func (silent) Warn(string)        {}
func (silent) Raw(string)         {}
func (silent) Done(string)        {}
func (silent) Fail()              {}
