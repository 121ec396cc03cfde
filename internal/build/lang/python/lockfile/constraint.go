package lockfile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Requirement says which versions of Python something runs on.
type Requirement struct {
	Text         string   // as its author wrote it
	alternatives []string // specifiers, of which one has to hold
}

// Requires returns the requirement of specifiers in the common form, ">=3.9,<4".
func Requires(text string) Requirement {
	return Requirement{Text: text, alternatives: []string{text}}
}

// RequiresPoetry returns the requirement of a constraint of Poetry's, which has
// carets, tildes and alternatives besides
// (https://python-poetry.org/docs/dependency-specification/).
func RequiresPoetry(text string) Requirement {
	r := Requirement{Text: text}
	for alternative := range strings.SplitSeq(strings.ReplaceAll(text, "||", "|"), "|") {
		r.alternatives = append(r.alternatives, poetrySpecifiers(alternative))
	}
	return r
}

// Allows reports whether a version of Python is one of the required ones. What
// cannot be understood allows everything: the tool that it is for reports it.
func (r Requirement) Allows(version string) bool {
	for _, specifiers := range r.alternatives {
		if ok, err := Satisfies(version, specifiers); err != nil || ok {
			return true
		}
	}
	return len(r.alternatives) == 0
}

// poetrySpecifiers translates one alternative: terms with commas or spaces between.
func poetrySpecifiers(text string) string {
	var out []string
	term := regexp.MustCompile(`([\^~<>=!]*)\s*([^\s,<>=!~^]+)`)
	for _, found := range term.FindAllStringSubmatch(text, -1) {
		operator, version := found[1], found[2]
		switch {
		case version == "*":
		case operator == "^":
			out = append(out, ">="+version, "<"+nextRelease(version, firstNumber(version)))
		case operator == "~":
			out = append(out, ">="+version, "<"+nextRelease(version, min(1, strings.Count(version, "."))))
		case operator == "" || operator == "=":
			out = append(out, "=="+version)
		default:
			out = append(out, operator+version)
		}
	}
	return strings.Join(out, ",")
}

// firstNumber returns the place of the first number of a version that is not
// zero, of the last one where all are.
func firstNumber(version string) int {
	parts := strings.Split(version, ".")
	for i, part := range parts {
		if strings.Trim(part, "0") != "" {
			return i
		}
	}
	return len(parts) - 1
}

// nextRelease returns the version whose number at a place is the next one, and
// that ends there.
func nextRelease(text string, place int) string {
	v, err := parseVersion(text)
	if err != nil {
		return text // and is no version there either
	}
	var out []string
	for i := range place {
		out = append(out, fmt.Sprint(v.part(i)))
	}
	return strings.Join(append(out, fmt.Sprint(v.part(place)+1)), ".")
}

// PoetryRequirements returns [tool.poetry.dependencies] in the common form. What
// says more than a version is refused: without a lock only Poetry knows it.
func (m *Manifest) PoetryRequirements() ([]string, error) {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.Tool.Poetry.Dependencies)) {
		value := m.Tool.Poetry.Dependencies[name]
		if table, ok := value.(map[string]any); ok {
			if optional, _ := table["optional"].(bool); optional {
				continue
			}
		}
		if name == "python" {
			continue
		}
		line, ok := poetryRequirement(name, value)
		if !ok {
			return nil, fault.New(fault.Usage, "build.python", ProjectFile, "[tool.poetry.dependencies] asks for %s in a way that only Poetry knows, and there is no poetry.lock", name).
				WithHint("write the lock, and keep it: poetry lock")
		}
		out = append(out, line)
	}
	return out, nil
}

// poetryRequirement translates a version, or a table of version, extras and
// markers.
func poetryRequirement(name string, value any) (line string, ok bool) {
	text, ok := value.(string)
	var extras, marker string
	if table, is := value.(map[string]any); is {
		for key := range table {
			if !slices.Contains([]string{"version", "extras", "markers", "optional", "allow-prereleases"}, key) {
				return "", false
			}
		}
		text, ok = table["version"].(string)
		marker, _ = table["markers"].(string)
		if e, used := poetryEdge(name, value); used && len(e.extras) > 0 {
			extras = "[" + strings.Join(e.extras, ",") + "]"
		}
	}
	if !ok || strings.Contains(text, "|") {
		return "", false
	}
	line = name + extras + poetrySpecifiers(text)
	if marker != "" {
		line += " ; " + marker
	}
	return line, true
}
