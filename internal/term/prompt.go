package term

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	xterm "golang.org/x/term"
)

// Choose asks for one of several things, by number or name, until it gets an
// answer; an end of input, and of ctx, is an error. Callers check CanPrompt first.
func (s *IO) Choose(ctx context.Context, question string, names, titles []string) (string, error) {
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
		line, err := s.readLine(ctx, lines)
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

// Secret asks for something that nobody may read on the screen. The terminal is
// as before when it returns, also when ctx has ended. Callers check CanPrompt
// first.
func (s *IO) Secret(ctx context.Context, question string) (string, error) {
	file, ok := s.In.(*os.File)
	if !ok {
		return "", errors.New("there is no terminal to ask at")
	}
	before, err := xterm.GetState(int(file.Fd()))
	if err != nil {
		return "", err
	}
	s.ask(Visible(question))
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := xterm.ReadPassword(int(file.Fd()))
		answers <- answer{text, err}
	}()
	defer s.ask("\n")
	select {
	case a := <-answers:
		return string(a.text), a.err
	case <-ctx.Done():
		// The reader stays behind; the process is about to end.
		return "", errors.Join(ctx.Err(), xterm.Restore(int(file.Fd()), before))
	}
}

// readLine reads a line of what a person types. An interrupt is an answer too: the
// reader stays behind then, and the process is about to end.
func (s *IO) readLine(ctx context.Context, lines *bufio.Reader) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := lines.ReadString('\n')
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		fmt.Fprintln(s.Err)
		return "", ctx.Err()
	}
}

// Ask reads one line; an end of input, and of ctx, is an error. Callers check
// CanPrompt first.
func (s *IO) Ask(ctx context.Context, question string) (string, error) {
	s.ask(Visible(question))
	line, err := s.readLine(ctx, bufio.NewReader(s.In))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(line), nil
}

func (s *IO) ask(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eraseLive()
	fmt.Fprint(s.Err, text)
}
