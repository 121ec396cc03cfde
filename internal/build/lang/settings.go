package lang

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/kn-lite/kn-lite/internal/regular"
)

// ReadSettings returns what a file of NAME=VALUE lines says, as npm and pip write
// them: with sections, with values that go on in indented lines, and with names
// for which a "-" is a "_". means are settings that do not change what is made.
// label is what the file is called. A file that cannot be read counts as such.
func ReadSettings(label, file string, means []string) []Fact {
	raw, err := regular.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || file == "" {
		return nil
	}
	if err != nil {
		return []Fact{{Name: label, Value: "cannot be read"}}
	}
	var out []Fact
	section, keep := "", false
	for line := range strings.Lines(string(raw)) {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";"):
		case strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"):
			section = text
		case (line[0] == ' ' || line[0] == '\t') && len(out) > 0 && !strings.Contains(text, "="):
			if keep {
				out[len(out)-1].Value += "\n" + text
			}
		default:
			name, value, _ := strings.Cut(text, "=")
			name = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "-", "_")
			if keep = !matches(means, name) && !strings.Contains(name, ":"); keep {
				out = append(out, Fact{Name: label + " " + section + name, Value: strings.TrimSpace(value)})
			}
		}
	}
	return out
}
