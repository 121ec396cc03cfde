package term

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
)

// Choose asks for one of several things, by number or name, until it gets an
// answer; an end of input is an error. Callers check CanPrompt first.
func (s *IO) Choose(question string, names, titles []string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eraseLive()
	fmt.Fprintln(s.Err, question)
	for i, name := range names {
		fmt.Fprintf(s.Err, "  %d) %s  %s\n", i+1, name, s.theme.dim.Render(titles[i]))
	}
	lines := bufio.NewReader(s.In)
	for {
		fmt.Fprintf(s.Err, "1-%d: ", len(names))
		line, err := lines.ReadString('\n')
		answer := strings.ToLower(strings.TrimSpace(line))
		for i, name := range names {
			if answer == name || answer == strconv.Itoa(i+1) {
				return name, nil
			}
		}
		if err != nil {
			return "", err
		}
	}
}
