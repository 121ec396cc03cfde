package lang

import (
	"regexp"
	"strings"
)

// SplitCommand turns a command line into words that need no shell, and the
// variables set in front of it: whatever is process 1 has to hear SIGTERM, and a
// shell does not pass it on. A line that means more to a shell than its words
// gets one.
func SplitCommand(line string) (env, command []string) {
	words := strings.Fields(line)
	for len(words) > 0 && isAssignment(words[0]) && !needsShell(words[0]) {
		env = append(env, words[0])
		words = words[1:]
	}
	if len(words) == 0 || needsShell(strings.Join(words, " ")) || isAssignment(words[0]) {
		return nil, []string{"/bin/sh", "-c", line}
	}
	return env, words
}

// needsShell reports whether text means something to a shell beyond its words.
func needsShell(text string) bool { return strings.ContainsAny(text, "|&;<>()$`\\\"'*?[]#~!{}\n") }

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name)
}
