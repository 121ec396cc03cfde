package source

import (
	"bufio"
	"io"
	"io/fs"

	"github.com/moby/patternmatcher"

	"github.com/kn-lite/kn-lite/internal/pattern"
)

// gitIgnoreFile is Git's list of what is no part of the project's history.
const gitIgnoreFile = ".gitignore"

// GitIgnored returns what reports whether the rules of project's own .gitignore match
// a name. Rules that Git itself would pass over match nothing.
func GitIgnored(project fs.FS) (func(name string) bool, error) {
	f, err := project.Open(gitIgnoreFile)
	if err != nil {
		return func(string) bool { return false }, nil // what cannot be read has none
	}
	defer f.Close()
	var patterns []string
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		rules := translate(lines.Text())
		if _, err := patternmatcher.New(rules); err == nil {
			patterns = append(patterns, rules...)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	matcher, err := pattern.New(patterns)
	if err != nil {
		return nil, err
	}
	return func(name string) bool {
		// The patterns have been checked, so matching cannot fail.
		matched, _ := matcher.Match(name)
		return matched
	}, nil
}
