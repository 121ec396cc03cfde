package source

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"

	"github.com/kn-lite/kn-lite/internal/build/secret"
)

// Secrets keeps files that look like secrets out of an image, unless a rule of the
// project names them, and says so. Its methods may be called at the same time.
type Secrets struct {
	files fs.FS
	file  string // the ignore file, for messages
	other string // another way to include a file, for messages; may be ""
	named []namingRule
	warn  func(string)
	names *secret.Names

	mu                      sync.Mutex
	seen                    map[string]string // path → what makes it a secret, "" for nothing
	out, included, fixtures []string          // not said yet
	said                    map[string]bool
}

// namingRule is a rule that brings back what it names.
type namingRule struct {
	matcher   *patternmatcher.PatternMatcher
	unmatched patternmatcher.MatchInfo
}

// NewSecrets looks into files where a name says too little. rules are those of the
// project's ignore file, as patterns of a .dockerignore: a "!" rule brings back what
// it names, and not what happens to lie below a folder that it names.
func NewSecrets(files fs.FS, file, other string, rules []string, warn func(string)) (*Secrets, error) {
	s := &Secrets{files: files, file: file, other: other, warn: warn, names: secret.NewNames(), seen: map[string]string{}, said: map[string]bool{}}
	for _, rule := range rules {
		pattern, again := strings.CutPrefix(strings.TrimSpace(rule), "!")
		if again && strings.Trim(path.Base(filepath.ToSlash(pattern)), "*?") != "" {
			matcher, err := patternmatcher.New([]string{pattern})
			if err != nil {
				return nil, err
			}
			// With the result of a parent that does not match, only the path itself is
			// matched, and not the folders above it.
			_, unmatched, err := matcher.MatchesUsingParentResults("\x00", patternmatcher.MatchInfo{})
			if err != nil {
				return nil, err
			}
			s.named = append(s.named, namingRule{matcher, unmatched})
		}
	}
	return s, nil
}

// Named reports whether a rule can bring back a file below a folder that stays out.
func (s *Secrets) Named() bool { return len(s.named) > 0 }

// LeaveOut reports whether a file or folder stays out of the image. It is to be asked
// about what would be in the image otherwise: Report says what was asked for.
func (s *Secrets) LeaveOut(name string, dir bool) bool {
	class, at := s.names.Classify(name, dir)
	if class == secret.Ordinary {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	why, known := s.seen[at]
	if !known {
		why = s.inspect(class, at)
		s.seen[at] = why
	}
	if why == "" {
		return false
	}
	switch {
	case s.isNamed(name, at):
		if !dir {
			s.add(&s.included, name, "")
		}
		return false
	case class != secret.Certain && secret.Fixture(name):
		s.add(&s.fixtures, name, why)
		return false
	}
	s.add(&s.out, at, why)
	return true
}

// inspect looks into a file where its name is not enough. One that cannot be read is
// taken for what its name says.
func (s *Secrets) inspect(class secret.Class, name string) string {
	if class == secret.Certain {
		return secret.Inspect(class, nil)
	}
	f, err := s.files.Open(name)
	if err != nil {
		return "it cannot be read"
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, secret.MaxSize))
	if err != nil {
		return "it cannot be read"
	}
	return secret.Inspect(class, raw)
}

// isNamed reports whether a rule names the file, the part of its path that makes it
// a secret, or something between.
func (s *Secrets) isNamed(name, at string) bool {
	for ; len(name) >= len(at); name = path.Dir(name) {
		for _, rule := range s.named {
			// The patterns have been checked, so matching cannot fail.
			if ok, _, _ := rule.matcher.MatchesUsingParentResults(name, rule.unmatched); ok {
				return true
			}
		}
	}
	return false
}

func (s *Secrets) add(list *[]string, name, why string) {
	if s.said[name] {
		return
	}
	s.said[name] = true
	if why != "" {
		name += " (" + why + ")"
	}
	*list = append(*list, name)
}

// maxNames is how many files a warning names.
const maxNames = 8

// reportLeftOut is Report for a walk after which another one is about the image.
func (s *Secrets) reportLeftOut() {
	s.mu.Lock()
	s.included, s.fixtures = nil, nil
	s.mu.Unlock()
	s.Report()
}

// Report says once what LeaveOut has decided, and how it is done otherwise.
func (s *Secrets) Report() {
	s.mu.Lock()
	out, included, fixtures := list(s.out), list(s.included), list(s.fixtures)
	first := ""
	if len(s.out) > 0 {
		first, _, _ = strings.Cut(s.out[0], " (")
	}
	s.out, s.included, s.fixtures = nil, nil, nil
	s.mu.Unlock()
	if out != "" {
		s.warn(fmt.Sprintf("left out of the image as likely secrets: %s; to include one, name it in %s: !%s%s", out, s.file, first, s.other))
	}
	if included != "" {
		s.warn(fmt.Sprintf("in the image because %s names them: %s; everybody who can pull the image can read likely secrets", s.file, included))
	}
	if fixtures != "" {
		s.warn(fmt.Sprintf("in the image as files of tests, though they look like secrets: %s; to leave them out, list them in %s", fixtures, s.file))
	}
}

func list(names []string) string {
	names = slices.Sorted(slices.Values(names))
	if more := len(names) - maxNames; more > 1 {
		names = append(names[:maxNames:maxNames], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
