package ci

import (
	"fmt"
	"strings"
)

// Annotation is an error at a place in a file.
type Annotation struct {
	File      string // "": at no place
	Line, Col int    // 0: not known
	Title     string
	Message   string
}

// GitHub returns it as a workflow command.
func (a Annotation) GitHub() string {
	var properties []string
	add := func(name, value string) { properties = append(properties, name+"="+property(value)) }
	if a.File != "" {
		add("file", a.File)
		if a.Line > 0 {
			add("line", fmt.Sprint(a.Line))
		}
		if a.Col > 0 {
			add("col", fmt.Sprint(a.Col))
		}
	}
	if a.Title != "" {
		add("title", a.Title)
	}
	command := "::error"
	if len(properties) > 0 {
		command += " " + strings.Join(properties, ",")
	}
	return command + "::" + data(a.Message)
}

// data and property escape as the runner's own toolkit does.
func data(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func property(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(text))
}

// Summary returns what is added to the page of a run: a title, and the outputs as a
// table or what went wrong.
func Summary(title string, outputs []Output, failure, hint string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", cell(title))
	if failure != "" {
		for _, text := range []string{failure, hint} {
			if text = strings.TrimSpace(text); text != "" {
				fmt.Fprintf(&b, "```text\n%s\n```\n\n", strings.ReplaceAll(text, "```", "'''"))
			}
		}
		return b.String()
	}
	if len(outputs) > 0 {
		b.WriteString("| | |\n|---|---|\n")
		for _, o := range outputs {
			fmt.Fprintf(&b, "| %s | %s |\n", cell(o.Name), cell(o.Value))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cell makes text a part of a line of Markdown that looks like itself.
func cell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "`", "\\`", "*", `\*`, "[", `\[`, "!", `\!`, "#", `\#`).Replace(text)
}
