// Package ci puts what a command has done into the words of CI systems: outputs of a
// step, annotations, a summary. It writes nothing itself.
package ci

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// System is a CI system whose conventions are known.
type System string

// The systems.
const (
	None   System = "none"
	GitHub System = "github" // GitHub Actions, and what takes its workflows
	GitLab System = "gitlab"
)

// Auto asks Choose to find the system out.
const Auto = "auto"

// Names lists what Choose takes.
func Names() []string { return []string{Auto, string(GitHub), string(GitLab), string(None)} }

// Choose returns the system that is wanted; auto looks at the variables that they set.
func Choose(wanted string, env func(string) string) (System, error) {
	switch {
	case wanted == Auto && env("GITHUB_ACTIONS") == "true":
		return GitHub, nil
	case wanted == Auto && env("GITLAB_CI") == "true":
		return GitLab, nil
	case wanted == Auto:
		return None, nil
	case slices.Contains(Names(), wanted):
		return System(wanted), nil
	}
	return None, fault.New(fault.Usage, "ci.choose", "", "there is no CI system %q", wanted).WithHint("use %s", strings.Join(Names(), ", "))
}

// Output is one value for the steps and jobs that follow.
type Output struct{ Name, Value string } // Name is of words with dashes: tag-url

// longestOutput is the longest value that becomes an output; what is longer is content.
const longestOutput = 4 << 10

// Outputs returns the outputs of an answer, as JSON has it: every single value at its
// top, the digest of its image, and whether anything has changed. Their order is that
// of their names.
func Outputs(answer any) []Output {
	raw, err := json.Marshal(answer)
	if err != nil {
		return nil
	}
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil || fields["kind"] == "Response" {
		return nil // what a function answers is not ours to hand on
	}
	var out []Output
	for name, value := range fields {
		if text, single := singleValue(value); single && name != "apiVersion" && name != "kind" && len(text) <= longestOutput {
			out = append(out, Output{dashed(name), text})
		}
	}
	if image, ok := fields["image"].(string); ok {
		if _, digest, found := strings.Cut(image, "@"); found {
			out = append(out, Output{"digest", digest})
		}
	}
	if outcome, ok := fields["outcome"].(string); ok {
		out = append(out, Output{"changed", strconv.FormatBool(outcome != "unchanged")})
	}
	slices.SortFunc(out, func(a, b Output) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b Output) bool { return a.Name == b.Name })
}

func singleValue(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case bool:
		return strconv.FormatBool(value), true
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64), true
	}
	return "", false
}

// dashed is a name of JSON in words with dashes: tag-url for tagURL.
func dashed(name string) string {
	var out strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		begins := unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1]))
		if begins {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// GitHubOutput returns what is added to the file of $GITHUB_OUTPUT. The delimiter is
// random: values come from others, and must not be able to end themselves.
func GitHubOutput(outputs []Output, delimiter string) string {
	var b strings.Builder
	for _, o := range outputs {
		fmt.Fprintf(&b, "%s<<%s\n%s\n%s\n", o.Name, delimiter, o.Value, delimiter)
	}
	return b.String()
}

// DotenvPrefix begins the variables of a dotenv report. They are variables of later
// jobs, where KN_LITE_ alone would make settings of them.
const DotenvPrefix = "KN_LITE_OUTPUT_"

// dotenvNames are the outputs that become variables of later jobs. GitLab takes 20 of
// them on its smallest plan, and refuses a report with more.
func dotenvNames() []string {
	return []string{
		"service", "namespace", "revision", "image", "digest", "outcome", "changed", "ready", "generation",
		"url", "tag", "tag-url", "pr", "expires", "exit-code",
	}
}

// Dotenv returns a dotenv report for GitLab: what is there already, with the outputs
// in place of those of the same names. It knows neither quotes nor lines, so a value
// with a control character is left out.
func Dotenv(before string, outputs []Output) string {
	values := map[string]string{}
	var names []string
	set := func(name, value string) {
		if _, known := values[name]; !known {
			names = append(names, name)
		}
		values[name] = value
	}
	for line := range strings.Lines(before) {
		if name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "="); found {
			set(name, value)
		}
	}
	for _, o := range outputs {
		if slices.Contains(dotenvNames(), o.Name) && strings.IndexFunc(o.Value, unicode.IsControl) < 0 {
			set(DotenvPrefix+strings.ToUpper(strings.ReplaceAll(o.Name, "-", "_")), o.Value)
		}
	}
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + "=" + values[name] + "\n")
	}
	return b.String()
}
