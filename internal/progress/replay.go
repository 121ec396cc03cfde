package progress

import "io"

// maxLine is how much of a line is read at once.
const maxLine = 1 << 20

// Replay reports to r what another process writes with Lines, until in ends. Lines
// that are no events are output. It returns the last error among the events, or nil,
// and what was wrong with in.
func Replay(in io.Reader, r Reporter) (*Failure, error) {
	p := Player{To: r, Other: r.Output, MaxLine: maxLine}
	defer p.Close(false)
	err := p.Play(in)
	return p.Failed(), err
}
