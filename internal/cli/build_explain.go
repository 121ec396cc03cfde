package cli

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/term"
)

// planAnswer is what a build would do, as -o json shows it.
type planAnswer struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Language   string         `json:"language"`
	Style      string         `json:"style"`
	Entrypoint []string       `json:"entrypoint"`
	WorkingDir string         `json:"workingDir"`
	Env        []string       `json:"env,omitempty"`
	Base       *image.Base    `json:"base,omitempty"` // nil is the built-in base
	Platforms  []platformPlan `json:"platforms"`
	Key        *keyInfo       `json:"key,omitempty"` // nil when there is none
	NoKey      string         `json:"noKey,omitempty"`
	Verdict    string         `json:"verdict"` // unchanged, or build
	Digest     string         `json:"digest,omitempty"`
	Changes    []partChange   `json:"changes"` // since the last build of this folder
	Earlier    bool           `json:"earlier"` // there was one
}

type platformPlan struct {
	Platform string      `json:"platform"`
	Layers   []layerPlan `json:"layers"`
}

type layerPlan struct {
	Name  string `json:"name"`
	From  string `json:"from,omitempty"`
	Known bool   `json:"known"`
}

type keyInfo struct {
	Digest string    `json:"digest"`
	Parts  []keyPart `json:"parts"`
}

type keyPart struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Files int    `json:"files,omitempty"`
}

type partChange struct {
	Part   string   `json:"part"`
	Before string   `json:"before,omitempty"`
	After  string   `json:"after,omitempty"`
	Files  []string `json:"files,omitempty"` // "changed handle.go"
}

func printPlan(f *Factory, plan *build.Explanation) error {
	out := describePlan(plan)
	return f.print(answer{Object: out, Names: []string{out.Verdict}, Table: func() error { return writePlan(f, out) }})
}

func describePlan(e *build.Explanation) *planAnswer {
	out := &planAnswer{
		APIVersion: apiVersion, Kind: "BuildPlan", Language: e.Language, Style: e.Style, Entrypoint: e.Entrypoint,
		WorkingDir: e.WorkingDir, Env: e.Env, NoKey: e.NoKey, Verdict: "build", Earlier: e.Earlier, Changes: []partChange{},
	}
	if e.Base != "" {
		out.Base = &image.Base{Name: e.Base}
		if e.BaseDigest != (v1.Hash{}) {
			out.Base.Digest = e.BaseDigest.String()
		}
	}
	for _, p := range e.Platforms {
		plan := platformPlan{Platform: p.Platform.String()}
		for _, l := range p.Layers {
			plan.Layers = append(plan.Layers, layerPlan(l))
		}
		out.Platforms = append(out.Platforms, plan)
	}
	if e.Key != nil {
		out.Key = &keyInfo{Digest: e.Key.String()}
		for _, p := range e.Key.Parts {
			out.Key.Parts = append(out.Key.Parts, keyPart{Name: p.Name, Value: p.Value, Files: len(p.Files)})
		}
	}
	if e.Digest != (v1.Hash{}) {
		out.Verdict, out.Digest = "unchanged", e.Digest.String()
	}
	for _, c := range e.Changes {
		out.Changes = append(out.Changes, describeChange(c))
	}
	return out
}

func describeChange(c key.Change) partChange {
	return partChange{Part: c.Part, Before: c.Before, After: c.After, Files: c.Files}
}

// writePlan is the answer for people.
func writePlan(f *Factory, out *planAnswer) error {
	lines := []string{fmt.Sprintf("%s: %s, starts with %s", out.Language, out.Style, contents.Words(out.Entrypoint))}
	base := "built in: certificates, a temp folder, a user that is not root"
	if out.Base != nil {
		base = out.Base.String()
	}
	lines = append(lines, "base: "+base, "")
	if err := answerLines(f.IO, lines...); err != nil {
		return err
	}
	layers := term.NewTable("PLATFORM", "LAYER", "MADE FROM", "KNOWN")
	for _, p := range out.Platforms {
		for _, l := range p.Layers {
			layers.Row(p.Platform, l.Name, l.From, yesNo(l.Known))
		}
	}
	if err := f.IO.Write(layers); err != nil {
		return err
	}
	if out.Key == nil {
		return answerLines(f.IO, "", "no key: "+out.NoKey, "build: every time")
	}
	if err := answerLines(f.IO, ""); err != nil {
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
	if err := f.IO.Write(parts); err != nil {
		return err
	}
	return answerLines(f.IO, append([]string{"", "key: " + out.Key.Digest}, out.verdictLines()...)...)
}

// maxFiles is how many changed files are named for people; -o json has them all.
const maxFiles = 10

func (out *planAnswer) verdictLines() []string {
	var lines []string
	switch {
	case len(out.Changes) > 0:
		lines = append(lines, "changed since the last build of this folder:")
	case !out.Earlier:
		lines = append(lines, "nothing is known of an earlier build of this folder")
	}
	for _, c := range out.Changes {
		switch {
		case len(c.Files) > 0:
			lines = append(lines, "  "+c.Part)
			for i, file := range c.Files {
				if i == maxFiles {
					lines = append(lines, fmt.Sprintf("    and %d more", len(c.Files)-maxFiles))
					break
				}
				lines = append(lines, "    "+file)
			}
		case c.Before == "":
			lines = append(lines, fmt.Sprintf("  %s: new, %s", c.Part, short(c.After, 80)))
		case c.After == "":
			lines = append(lines, fmt.Sprintf("  %s: gone, was %s", c.Part, short(c.Before, 80)))
		default:
			lines = append(lines, fmt.Sprintf("  %s: %s → %s", c.Part, short(c.Before, 60), short(c.After, 60)))
		}
	}
	if out.Verdict == "unchanged" {
		return append(lines, "unchanged: "+out.Digest+" was built from the same input")
	}
	return append(lines, "build: no earlier build here had this key")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
