package plugin

import "github.com/kn-lite/kn-lite/internal/progress"

// maxLine is how much of a line is read at once; the rest of a longer one is the
// next line.
const maxLine = 64 << 10

// events reports what a plugin writes to its standard error: events as kn-lite's own
// -o events writes them, of which only the type and what it needs have to be there.
type events struct {
	progress.Player
	last []string // the last lines that were no events
}

func newEvents(report progress.Reporter) *events {
	e := &events{}
	e.Player = progress.Player{To: report, MaxLine: maxLine, Foreign: true, Other: func(line string) {
		if e.last = append(e.last, line); len(e.last) > 5 {
			e.last = e.last[1:]
		}
		report.Output(line)
	}}
	return e
}
