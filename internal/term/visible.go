package term

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a terminal or a CI system is told goes through here. Names, messages and logs
// come from registries, clusters and projects of others: a control character in them
// could move the cursor, rename the window or hide text, and a line that begins with
// ::set-env a workflow command of GitHub's. Both become visible text.
// docs/decisions/0023-what-reaches-a-terminal.md says what is exact instead.

// Visible returns text as one line without control characters: \x1b, \n, \u202e.
func Visible(text string) string { return defuse(escape(text, "")) }

// VisibleLines is Visible for text of several lines, which may be indented with tabs.
func VisibleLines(text string) string {
	return defuse(escape(strings.ReplaceAll(text, "\r\n", "\n"), "\n\t"))
}

// escape makes all control characters visible but for those in keep.
func escape(text, keep string) string {
	plain := func(r rune) bool { return !hidden(r) || strings.ContainsRune(keep, r) }
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, text[i])
		case plain(r):
			out.WriteString(text[i : i+size])
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		i += size
	}
	return out.String()
}

// hidden reports whether r shows nothing, or changes how other characters are shown.
func hidden(r rune) bool {
	switch r {
	case '\u200b', '\u2028', '\u2029', '\u2060', '\ufeff': // spaces and separators without a width
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// defuse keeps lines from being commands of a CI system: GitHub's ::name::, also with
// properties and spaces in front; ##[name] of GitHub and Azure, ##vso[ of Azure and
// ##teamcity[, anywhere in a line.
func defuse(text string) string {
	if strings.Contains(text, "::") {
		text = regexp.MustCompile(`(?m)^(\s*):(:[A-Za-z][A-Za-z-]*(?: [^\n]*?)?::)`).ReplaceAllString(text, `$1\:$2`)
	}
	if strings.Contains(text, "##") {
		text = regexp.MustCompile(`##(\[|vso\[|teamcity\[)`).ReplaceAllString(text, `#\#$1`)
	}
	return text
}

// styled is VisibleLines for the output of another program, whose colours stay if
// colour is set. A carriage return begins a line, as that of a progress bar does.
func styled(text string, colour bool) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	const reset = "\x1b[0m"
	sgr := regexp.MustCompile("\x1b\\[[0-9;:]*m")
	var out strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			out.WriteByte('\n')
		}
		// The line as it would be read without colours decides what it is.
		if bare := sgr.ReplaceAllString(line, ""); !colour || bare == line || defuse(bare) != bare {
			out.WriteString(VisibleLines(bare))
			continue
		}
		at := 0
		for _, span := range sgr.FindAllStringIndex(line, -1) {
			out.WriteString(escape(line[at:span[0]], "\t") + line[span[0]:span[1]])
			at = span[1]
		}
		out.WriteString(escape(line[at:], "\t") + reset)
	}
	return out.String()
}
