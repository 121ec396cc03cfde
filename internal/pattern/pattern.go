// Package pattern matches the paths of a tree with the patterns of a .dockerignore.
package pattern

import (
	"path/filepath"
	"sync"

	"github.com/moby/patternmatcher"
)

// Matcher remembers what it found about folders: the time for a path does not grow
// with the number of folders above it. It may be used by several goroutines.
type Matcher struct {
	patterns *patternmatcher.PatternMatcher
	mutex    sync.Mutex
	folders  map[string]patternmatcher.MatchInfo
}

// New compiles patterns.
func New(patterns []string) (*Matcher, error) {
	compiled, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	return &Matcher{patterns: compiled, folders: map[string]patternmatcher.MatchInfo{}}, nil
}

// Exclusions reports whether a pattern brings back what another one matches.
func (m *Matcher) Exclusions() bool { return m.patterns.Exclusions() }

// Match reports whether the patterns match name or a folder above it, and no later
// one brings it back. name is a slash-separated path.
func (m *Matcher) Match(name string) (bool, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	above, err := m.folder(filepath.Dir(filepath.FromSlash(name)))
	if err != nil {
		return false, err
	}
	matched, _, err := m.patterns.MatchesUsingParentResults(filepath.FromSlash(name), above)
	return matched, err
}

func (m *Matcher) folder(dir string) (patternmatcher.MatchInfo, error) {
	if dir == "." || dir == filepath.Dir(dir) {
		return patternmatcher.MatchInfo{}, nil
	}
	if info, ok := m.folders[dir]; ok {
		return info, nil
	}
	above, err := m.folder(filepath.Dir(dir))
	if err != nil {
		return above, err
	}
	_, info, err := m.patterns.MatchesUsingParentResults(dir, above)
	if err == nil {
		m.folders[dir] = info
	}
	return info, err
}
