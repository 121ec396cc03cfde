package image

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Comparison is the Difference of two artifacts for programs, which read its JSON:
// fields are added and never changed.
type Comparison struct {
	A         Side                 `json:"a"`
	B         Side                 `json:"b"`
	Same      bool                 `json:"same"`            // nothing that a container would notice differs
	First     string               `json:"first,omitempty"` // the first difference in words
	Platforms []PlatformComparison `json:"platforms"`
}

// Side is one of the two artifacts.
type Side struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// PlatformComparison compares the images of one platform.
type PlatformComparison struct {
	Platform string         `json:"platform"`
	Only     string         `json:"only,omitempty"` // a or b, when the other one has no image for the platform
	Files    []FileChange   `json:"files,omitempty"`
	Config   []ConfigChange `json:"config,omitempty"`
	Packing  []string       `json:"packing,omitempty"`
}

// FileChange is a path that is not the same in both images.
type FileChange struct {
	Path   string   `json:"path"`
	Change string   `json:"change"` // added, removed, changed
	What   []string `json:"what,omitempty"`
	Before *File    `json:"before,omitempty"`
	After  *File    `json:"after,omitempty"`
}

// ConfigChange is a setting that is not the same in both images.
type ConfigChange struct {
	Name   string `json:"name"`
	Change string `json:"change"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Compare reads both artifacts and compares them as containers would see them.
func Compare(ctx context.Context, report progress.Reporter, a, b *Images) (*Comparison, error) {
	diff, err := Diff(a, b, func(i *Images, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error) {
		return i.reported(ctx, report, known)
	})
	if err != nil {
		return nil, err
	}
	out := &Comparison{
		A: Side{a.Name, a.Digest.String()}, B: Side{b.Name, b.Digest.String()},
		Same: diff.Same, First: diff.First,
	}
	for _, d := range diff.Platforms {
		p := PlatformComparison{Platform: d.Platform, Packing: d.Packing}
		switch {
		case d.OnlyA:
			p.Only = "a"
		case d.OnlyB:
			p.Only = "b"
		}
		for _, c := range d.Files {
			p.Files = append(p.Files, FileChange{Path: "/" + c.Path, Change: string(c.Change), What: c.What, Before: fileOf(c.Before), After: fileOf(c.After)})
		}
		for _, c := range d.Config {
			p.Config = append(p.Config, ConfigChange{Name: c.Name, Change: string(c.Change), Before: c.Before, After: c.After})
		}
		out.Platforms = append(out.Platforms, p)
	}
	return out, nil
}

// Paths returns the files that differ.
func (c *Comparison) Paths() []string {
	var paths []string
	for _, p := range c.Platforms {
		for _, f := range p.Files {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// Lines returns a line for each difference: + is in B only, - in A only, ~ in both and
// not the same.
func (c *Comparison) Lines() []string {
	var lines []string
	for _, p := range c.Platforms {
		if p.Only != "" {
			lines = append(lines, fmt.Sprintf("%s platform %s", map[string]string{"a": "-", "b": "+"}[p.Only], p.Platform))
		}
		for _, d := range p.Files {
			lines = append(lines, c.prefix(p)+d.line())
		}
		for _, d := range p.Config {
			lines = append(lines, c.prefix(p)+d.line())
		}
	}
	return lines
}

// Notes returns in words what differs although a container does not notice it.
func (c *Comparison) Notes() []string {
	var notes []string
	for _, p := range c.Platforms {
		if p.Only == "" && len(p.Files)+len(p.Config) == 0 && len(p.Packing) > 0 {
			notes = append(notes, c.prefix(p)+"the same files and settings, packed in another way: "+strings.Join(p.Packing, "; "))
		}
	}
	if c.Same && c.A.Digest == c.B.Digest {
		notes = append(notes, "the same image: "+c.A.Digest)
	}
	return notes
}

// prefix names the platform of a line where there are several.
func (c *Comparison) prefix(p PlatformComparison) string {
	if len(c.Platforms) > 1 {
		return p.Platform + " "
	}
	return ""
}

func (d *FileChange) line() string {
	text := map[string]string{"added": "+", "removed": "-", "changed": "~"}[d.Change] + " " + d.Path
	if d.Before == nil || d.After == nil {
		return text
	}
	var what []string
	for _, name := range d.What {
		switch name {
		case "size":
			name = fmt.Sprintf("size %d → %d", d.Before.Size, d.After.Size)
		case "mode":
			name = fmt.Sprintf("mode %s → %s", d.Before.Mode, d.After.Mode)
		case "type":
			name = fmt.Sprintf("type %s → %s", d.Before.Type, d.After.Type)
		case "owner":
			name = fmt.Sprintf("owner %d:%d → %d:%d", d.Before.UID, d.Before.GID, d.After.UID, d.After.GID)
		case "target":
			name = fmt.Sprintf("target %s → %s", d.Before.Target, d.After.Target)
		}
		what = append(what, name)
	}
	return text + "  " + strings.Join(what, ", ")
}

func (d *ConfigChange) line() string {
	switch d.Change {
	case "added":
		return fmt.Sprintf("+ config %s: %s", d.Name, d.After)
	case "removed":
		return fmt.Sprintf("- config %s: %s", d.Name, d.Before)
	}
	return fmt.Sprintf("~ config %s: %s → %s", d.Name, d.Before, d.After)
}
