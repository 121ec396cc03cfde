package dockerfile

import "bytes"

// maxLine is the length from which on a line is handed on in pieces.
const maxLine = 64 << 10

// lineWriter hands on whole lines.
type lineWriter struct {
	write func(string)
	rest  []byte // of a line whose end is still to come
}

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		if room := maxLine - len(w.rest); len(line) > room {
			line, rest, ended = p[:room], p[room:], true
		}
		w.rest = append(w.rest, line...)
		if ended {
			w.write(string(bytes.TrimRight(w.rest, "\r")))
			w.rest = w.rest[:0]
		}
		p = rest
	}
	return n, nil
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.write(string(w.rest))
		w.rest = nil
	}
}
