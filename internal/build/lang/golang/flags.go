package golang

import (
	"strings"
)

// goFlags is what GOFLAGS says, as far as the build has to know it.
type goFlags struct {
	tags []string
	link []string // values of -ldflags, each with its pattern of packages
}

// readFlags reads GOFLAGS, from the environment or from what `go env -w` has
// written.
func readFlags(environ []string) goFlags {
	var out goFlags
	for _, flag := range splitFlags(goSettings(environ)["GOFLAGS"]) {
		name, value, _ := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		switch strings.TrimPrefix(name, "-") {
		case "tags":
			// As the go command, which takes the last one.
			out.tags = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		case "ldflags":
			out.link = append(out.link, value)
		}
	}
	return out
}

// splitFlags splits words at spaces. A word may be quoted as a whole
// (https://pkg.go.dev/cmd/go#hdr-Environment_variables).
func splitFlags(text string) []string {
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

// linkArguments are ours, which leave symbols out, and those of GOFLAGS after
// them: the go command takes the last that fits a package, and the command line
// in place of GOFLAGS.
func (f goFlags) linkArguments() []string {
	const ours = "-s -w"
	out := []string{"-ldflags=" + ours}
	for _, value := range f.link {
		pattern := ""
		// PATTERN=FLAGS, where flags begin with a dash or a quote.
		if before, after, ok := strings.Cut(value, "="); ok && !strings.HasPrefix(strings.TrimLeft(value, " "), "-") && !strings.ContainsAny(before, "\"' ") {
			pattern, value = before+"=", after
		}
		out = append(out, "-ldflags="+pattern+ours+" "+value)
	}
	return out
}
