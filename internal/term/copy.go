package term

import "io"

// Copy writes what r has to stdout as it is, and returns how many bytes that
// were. On a terminal a missing line end is added, so that the prompt does not
// stand behind the last line.
func (s *IO) Copy(r io.Reader) (int64, error) {
	last := &lastByte{to: s.Out}
	n, err := io.Copy(last, r)
	if err == nil && s.outTTY && n > 0 && last.b != '\n' {
		_, err = io.WriteString(s.Out, "\n")
	}
	return n, err
}

type lastByte struct {
	to io.Writer
	b  byte
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b = p[len(p)-1]
	}
	return l.to.Write(p)
}
