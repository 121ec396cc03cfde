// Package flags reads GOFLAGS, as far as a build has to know what it says.
package flags

import (
	"strings"
)

// Flags is what GOFLAGS says.
type Flags struct {
	Tags []string
	Link []string // values of -ldflags, each with its pattern of packages
}

// Parse reads the value of GOFLAGS.
func Parse(text string) Flags {
	var out Flags
	for _, flag := range split(text) {
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		switch strings.TrimPrefix(name, "-") {
		case "tags":
			// As the go command, which takes the last one.
			out.Tags = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		case "ldflags":
			out.Link = append(out.Link, value)
		}
	}
	return out
}

// split splits words at spaces. A word may be quoted as a whole
// (https://pkg.go.dev/cmd/go#hdr-Environment_variables).
func split(text string) []string {
	var out []string
	for {
		text = strings.TrimLeft(text, " \t\r\n")
		if text == "" {
			return out
		}
		if quote := text[0]; quote == '"' || quote == '\'' {
			if word, rest, closed := strings.Cut(text[1:], string(quote)); closed {
				out, text = append(out, word), rest
				continue
			}
		}
		end := strings.IndexAny(text, " \t\r\n")
		if end < 0 {
			return append(out, text)
		}
		out, text = append(out, text[:end]), text[end:]
	}
}

// LinkArguments are ours, which leave symbols out, and those of GOFLAGS after
// them: the go command takes the last that fits a package, and the command line
// in place of GOFLAGS.
func (f Flags) LinkArguments() []string {
	const ours = "-s -w"
	out := []string{"-ldflags=" + ours}
	for _, value := range f.Link {
		pattern := ""
		// PATTERN=FLAGS, where flags begin with a dash or a quote.
		if before, after, ok := strings.Cut(value, "="); ok && !strings.HasPrefix(strings.TrimLeft(value, " "), "-") && !strings.ContainsAny(before, "\"' ") {
			pattern, value = before+"=", after
		}
		out = append(out, "-ldflags="+pattern+ours+" "+value)
	}
	return out
}
