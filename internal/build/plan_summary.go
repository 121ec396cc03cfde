package build

import (
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/image"
)

// PlanSummary is an Explanation as programs read it, in JSON: fields are added and
// never changed.
type PlanSummary struct {
	Language   string         `json:"language"`
	Style      string         `json:"style"`
	Entrypoint []string       `json:"entrypoint"`
	WorkingDir string         `json:"workingDir"`
	Env        []string       `json:"env,omitempty"`
	Base       *image.Base    `json:"base,omitempty"` // nil is the built-in base
	Platforms  []PlanPlatform `json:"platforms"`
	Key        *PlanKey       `json:"key,omitempty"` // nil when there is none
	NoKey      string         `json:"noKey,omitempty"`
	Verdict    string         `json:"verdict"` // unchanged, or build
	Digest     string         `json:"digest,omitempty"`
	Changes    []PlanChange   `json:"changes"` // since the last build of this folder
	Earlier    bool           `json:"earlier"` // there was one
}

// PlanPlatform is what will be made for one platform.
type PlanPlatform struct {
	Platform string      `json:"platform"`
	Layers   []PlanLayer `json:"layers"`
}

// PlanLayer is a layer that would be made or found.
type PlanLayer struct {
	Name  string `json:"name"`
	From  string `json:"from,omitempty"`
	Known bool   `json:"known"`
}

// PlanKey is the digest over all inputs, and what it is made of.
type PlanKey struct {
	Digest string        `json:"digest"`
	Parts  []PlanKeyPart `json:"parts"`
}

// PlanKeyPart is an input.
type PlanKeyPart struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Files int    `json:"files,omitempty"`
}

// PlanChange is an input that is not what it was.
type PlanChange struct {
	Part   string   `json:"part"`
	Before string   `json:"before,omitempty"`
	After  string   `json:"after,omitempty"`
	Files  []string `json:"files,omitempty"` // "changed handle.go"
}

// Summarize returns the explanation as programs read it.
func (e *Explanation) Summarize() *PlanSummary {
	out := &PlanSummary{
		Language: e.Language, Style: e.Style, Entrypoint: e.Entrypoint,
		WorkingDir: e.WorkingDir, Env: e.Env, NoKey: e.NoKey, Verdict: "build", Earlier: e.Earlier, Changes: []PlanChange{},
	}
	if e.Base != "" {
		out.Base = &image.Base{Name: e.Base}
		if e.BaseDigest != (v1.Hash{}) {
			out.Base.Digest = e.BaseDigest.String()
		}
	}
	for _, p := range e.Platforms {
		plan := PlanPlatform{Platform: p.Platform.String()}
		for _, l := range p.Layers {
			plan.Layers = append(plan.Layers, PlanLayer(l))
		}
		out.Platforms = append(out.Platforms, plan)
	}
	if e.Key != nil {
		out.Key = &PlanKey{Digest: e.Key.String()}
		for _, p := range e.Key.Parts {
			out.Key.Parts = append(out.Key.Parts, PlanKeyPart{Name: p.Name, Value: p.Value, Files: len(p.Files)})
		}
	}
	if e.Digest != (v1.Hash{}) {
		out.Verdict, out.Digest = "unchanged", e.Digest.String()
	}
	for _, c := range e.Changes {
		out.Changes = append(out.Changes, PlanChange{Part: c.Part, Before: c.Before, After: c.After, Files: c.Files})
	}
	return out
}

// maxNamedFiles is how many changed files VerdictLines names; Changes has them all.
const maxNamedFiles = 10

// VerdictLines says in words what has changed since the last build of this folder, and
// what follows.
func (s *PlanSummary) VerdictLines() []string {
	var lines []string
	switch {
	case len(s.Changes) > 0:
		lines = append(lines, "changed since the last build of this folder:")
	case !s.Earlier:
		lines = append(lines, "nothing is known of an earlier build of this folder")
	}
	for _, c := range s.Changes {
		switch {
		case len(c.Files) > 0:
			lines = append(lines, "  "+c.Part)
			for i, file := range c.Files {
				if i == maxNamedFiles {
					lines = append(lines, fmt.Sprintf("    and %d more", len(c.Files)-maxNamedFiles))
					break
				}
				lines = append(lines, "    "+file)
			}
		case c.Before == "":
			lines = append(lines, fmt.Sprintf("  %s: new, %s", c.Part, shortened(c.After, 80)))
		case c.After == "":
			lines = append(lines, fmt.Sprintf("  %s: gone, was %s", c.Part, shortened(c.Before, 80)))
		default:
			lines = append(lines, fmt.Sprintf("  %s: %s → %s", c.Part, shortened(c.Before, 60), shortened(c.After, 60)))
		}
	}
	if s.Verdict == "unchanged" {
		return append(lines, "unchanged: "+s.Digest+" was built from the same input")
	}
	return append(lines, "build: no earlier build here had this key")
}

// shortened cuts text to n characters on one line.
func shortened(text string, n int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}
