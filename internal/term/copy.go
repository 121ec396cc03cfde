package term

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Copy writes what r has to stdout as it is, and returns how many bytes that
// were. A terminal gets visible text, and a line end at the end, so that the prompt
// does not stand behind the last line.
func (s *IO) Copy(r io.Reader) (int64, error) {
	if !s.outTTY {
		return io.Copy(s.Out, r)
	}
	lines := bufio.NewReader(r)
	total := int64(0)
	for {
		line, err := lines.ReadString('\n')
		total += int64(len(line))
		if line != "" {
			if _, err := fmt.Fprintln(s.Out, VisibleLines(strings.TrimRight(line, "\r\n"))); err != nil {
				return total, err
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
