package lang

import (
	"context"
	"sync"
)

// Answers are what tools have said about themselves, for several builds by one
// process: a tool takes longer to start than all else of a small build. nil asks
// each time.
type Answers struct {
	mu   sync.Mutex
	said map[string]string
}

// Get returns the answer to a question, which ask finds out the first time.
func (a *Answers) Get(question string, ask func() (string, error)) (string, error) {
	if a == nil {
		return ask()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer, ok := a.said[question]; ok {
		return answer, nil
	}
	answer, err := ask()
	if err != nil {
		return "", err
	}
	if a.said == nil {
		a.said = map[string]string{}
	}
	a.said[question] = answer
	return answer, nil
}

// Locator is a Language that knows the file of an interpreter behind its name: what
// is found in PATH may be a launcher, which chooses each time.
type Locator interface {
	Language
	// Locate returns program as it is when it is no interpreter of the language.
	Locate(ctx context.Context, p *Project, program string) (string, error)
}
