package cli

import (
	"fmt"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/term"
)

// planAnswer is what a build would do, as -o json shows it.
type planAnswer struct {
	header
	*build.PlanSummary
}

func printPlan(f *Factory, plan *build.PlanSummary) error {
	return f.print(answer{
		Object: planAnswer{head("BuildPlan"), plan}, Names: []string{plan.Verdict},
		Table: func() error { return writePlan(f.IO, plan) },
	})
}

// writePlan is the answer for people.
func writePlan(streams *term.IO, out *build.PlanSummary) error {
	lines := []string{fmt.Sprintf("%s: %s, starts with %s", out.Language, out.Style, contents.Words(out.Entrypoint))}
	base := "built in: certificates, a temp folder, a user that is not root"
	if out.Base != nil {
		base = out.Base.String()
	}
	lines = append(lines, "base: "+base, "")
	if err := answerLines(streams, lines...); err != nil {
		return err
	}
	layers := term.NewTable("PLATFORM", "LAYER", "MADE FROM", "KNOWN")
	for _, p := range out.Platforms {
		for _, l := range p.Layers {
			layers.Row(p.Platform, l.Name, l.From, yesNo(l.Known))
		}
	}
	if err := streams.Write(layers); err != nil {
		return err
	}
	if out.Key == nil {
		return answerLines(streams, "", "no key: "+out.NoKey, "build: every time")
	}
	if err := answerLines(streams, ""); err != nil {
		return err
	}
	parts := term.NewTable("PART OF THE KEY", "VALUE")
	for _, p := range out.Key.Parts {
		value := short(p.Value, 90)
		if p.Files > 0 {
			value = fmt.Sprintf("%s of %s", p.Value, plural(p.Files, "file"))
		}
		parts.Row(p.Name, value)
	}
	if err := streams.Write(parts); err != nil {
		return err
	}
	return answerLines(streams, append([]string{"", "key: " + out.Key.Digest}, out.VerdictLines()...)...)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
