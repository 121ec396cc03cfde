package cli

import (
	"fmt"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/render"
	"github.com/kn-lite/kn-lite/internal/term"
)

// apiVersion stands in every JSON and YAML document that kn-lite prints. Its
// fields only ever grow.
const apiVersion = "kn-lite.dev/v1"

// header begins every such document; the fields of a result follow.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

func head(kind string) header { return header{APIVersion: apiVersion, Kind: kind} }

// eventsOutput is -o json with events on stderr: docs/guide/events.md.
const eventsOutput = "events"

func checkOutput(format string) error {
	switch format {
	case "", "table", "name", eventsOutput:
		return nil
	}
	if _, ok := render.Parse(format); ok {
		return nil
	}
	return fault.Usagef("-o %s: unknown output format", format).WithHint("use table, json, yaml, name, events, jsonpath=TEMPLATE or go-template=TEMPLATE")
}

func checkColor(when string) error {
	switch when {
	case "auto", "always", "never":
		return nil
	}
	return fault.Usagef("--color %s: use auto, always or never", when)
}

// answer is a command's result in its three forms.
type answer struct {
	Object any          // what json, yaml and the templates see; its kind and apiVersion are fields
	Names  []string     // what -o name prints, a line each
	Table  func() error // what a person sees
}

// print writes the answer in the form that -o asked for.
func (f *Factory) print(a answer) error {
	f.answered = a.Object
	form, _ := render.Parse(f.Flags.Output)
	switch f.Flags.Output {
	case "", "table":
		return a.Table()
	case eventsOutput:
		form.Name = render.JSON
	case "name":
		for _, name := range a.Names {
			if err := f.IO.Exact(name); err != nil {
				return err
			}
		}
		return nil
	}
	text, err := form.Text(a.Object)
	if err != nil {
		return err
	}
	return f.IO.Exact(text)
}

// table is the common case of answer.Table.
func table(streams *term.IO, header []string, rows func(*term.Table)) func() error {
	return func() error {
		t := term.NewTable(header...)
		rows(t)
		return streams.Write(t)
	}
}

// answerLines writes lines on stdout.
func answerLines(streams *term.IO, lines ...string) error {
	for _, line := range lines {
		if err := streams.Answer("%s", line); err != nil {
			return err
		}
	}
	return nil
}

// plural is "1 layer", "2 layers".
func plural(n int, noun string) string {
	if n == 1 {
		return fmt.Sprintf("1 %s", noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
