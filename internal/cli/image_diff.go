package cli

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/term"
)

type diffOptions struct {
	lookOptions
	A, B string
}

// diffAnswer is the difference of two images as -o json shows it.
type diffAnswer struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	A          diffSide       `json:"a"`
	B          diffSide       `json:"b"`
	Same       bool           `json:"same"`            // nothing that a container would notice differs
	First      string         `json:"first,omitempty"` // the first difference in words
	Platforms  []platformDiff `json:"platforms"`
}

type diffSide struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

type platformDiff struct {
	Platform string       `json:"platform"`
	Only     string       `json:"only,omitempty"` // a or b, when the other one has no image for the platform
	Files    []fileDiff   `json:"files,omitempty"`
	Config   []configDiff `json:"config,omitempty"`
	Packing  []string     `json:"packing,omitempty"`
}

type fileDiff struct {
	Path   string     `json:"path"`
	Change string     `json:"change"` // added, removed, changed
	What   []string   `json:"what,omitempty"`
	Before *imageFile `json:"before,omitempty"`
	After  *imageFile `json:"after,omitempty"`
}

type configDiff struct {
	Name   string `json:"name"`
	Change string `json:"change"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

func newImageDiffCmd(f *Factory) *cobra.Command {
	o := &diffOptions{}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show in which files and settings two images differ",
		Long: `Diff compares two images as a container would see them: files by path, type,
mode, owner, size, content and time stamp, and the configuration. + is in B only, - in A
only, ~ in both and not the same. Each image is REF, oci:DIR, tar:FILE or DIR, the
folder of a function.

The exit code is 0 when they are the same, also when their layers are packed in
another way, and 1 when they differ; the first difference is named on stderr.`,
		Example: `  # What would change
  kn-lite build && kn-lite image diff registry.example/me/hello:latest .

  # In a script
  kn-lite image diff oci:before oci:after -q || echo changed`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.A, o.B = args[0], args[1]
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runImageDiff(ctx, f, o)
		},
	}
	addLookFlags(f, cmd, &o.lookOptions)
	return cmd
}

func runImageDiff(ctx context.Context, f *Factory, o *diffOptions) error {
	a, err := openImages(ctx, f, o.A, &o.lookOptions)
	if err != nil {
		return err
	}
	b, err := openImages(ctx, f, o.B, &o.lookOptions)
	if err != nil {
		return err
	}
	out := diffAnswer{
		APIVersion: apiVersion, Kind: "ImageDiff",
		A: diffSide{a.Name, a.Digest.String()}, B: diffSide{b.Name, b.Digest.String()},
	}
	diff, err := image.Diff(a, b, func(i *image.Images, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error) {
		return readImages(ctx, f.IO, i, known)
	})
	if err != nil {
		return err
	}
	out.Same, out.First, out.Platforms = diff.Same, diff.First, platformDiffs(diff.Platforms)
	if err := f.print(answer{Object: out, Names: out.paths(), Table: func() error { return writeDiff(f.IO, &out) }}); err != nil {
		return err
	}
	if !out.Same {
		return fault.New(fault.Failure, "image.diff", "", "the images differ, first in %s", out.First)
	}
	return nil
}

func platformDiffs(all []image.PlatformDifference) []platformDiff {
	var out []platformDiff
	for _, d := range all {
		diff := platformDiff{Platform: d.Platform, Files: fileDiffs(&d.Difference), Config: configDiffs(&d.Difference), Packing: d.Packing}
		switch {
		case d.OnlyA:
			diff.Only = "a"
		case d.OnlyB:
			diff.Only = "b"
		}
		out = append(out, diff)
	}
	return out
}

func fileDiffs(d *contents.Difference) []fileDiff {
	var out []fileDiff
	for _, c := range d.Files {
		diff := fileDiff{Path: "/" + c.Path, Change: string(c.Change), What: c.What}
		if c.Before != nil {
			before := fileInfo(c.Before)
			diff.Before = &before
		}
		if c.After != nil {
			after := fileInfo(c.After)
			diff.After = &after
		}
		out = append(out, diff)
	}
	return out
}

func configDiffs(d *contents.Difference) []configDiff {
	var out []configDiff
	for _, c := range d.Config {
		out = append(out, configDiff{Name: c.Name, Change: string(c.Change), Before: c.Before, After: c.After})
	}
	return out
}

// paths is what -o name prints: the files that differ.
func (out *diffAnswer) paths() []string {
	var paths []string
	for _, p := range out.Platforms {
		for _, f := range p.Files {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// writeDiff is the answer for people: one line for each difference, and none
// when there is no difference.
func writeDiff(streams *term.IO, out *diffAnswer) error {
	var lines []string
	for _, p := range out.Platforms {
		prefix := ""
		if len(out.Platforms) > 1 {
			prefix = p.Platform + " "
		}
		if p.Only != "" {
			lines = append(lines, fmt.Sprintf("%s platform %s", map[string]string{"a": "-", "b": "+"}[p.Only], p.Platform))
		}
		for _, d := range p.Files {
			lines = append(lines, prefix+d.line())
		}
		for _, d := range p.Config {
			lines = append(lines, prefix+d.line())
		}
		if p.Only == "" && len(p.Files)+len(p.Config) == 0 && len(p.Packing) > 0 {
			streams.Note("%sthe same files and settings, packed in another way: %s", prefix, strings.Join(p.Packing, "; "))
		}
	}
	for _, line := range lines {
		if err := streams.Answer("%s", line); err != nil {
			return err
		}
	}
	if out.Same && out.A.Digest == out.B.Digest {
		streams.Note("the same image: %s", out.A.Digest)
	}
	return nil
}

func signOf(change string) string {
	return map[string]string{"added": "+", "removed": "-", "changed": "~"}[change]
}

func (d *fileDiff) line() string {
	text := signOf(d.Change) + " " + d.Path
	if d.Before == nil || d.After == nil {
		return text
	}
	var what []string
	for _, name := range d.What {
		switch name {
		case "size":
			what = append(what, fmt.Sprintf("size %d → %d", d.Before.Size, d.After.Size))
		case "mode":
			what = append(what, fmt.Sprintf("mode %s → %s", d.Before.Mode, d.After.Mode))
		case "type":
			what = append(what, fmt.Sprintf("type %s → %s", d.Before.Type, d.After.Type))
		case "owner":
			what = append(what, fmt.Sprintf("owner %d:%d → %d:%d", d.Before.UID, d.Before.GID, d.After.UID, d.After.GID))
		case "target":
			what = append(what, fmt.Sprintf("target %s → %s", d.Before.Target, d.After.Target))
		default:
			what = append(what, name)
		}
	}
	return text + "  " + strings.Join(what, ", ")
}

func (d *configDiff) line() string {
	switch d.Change {
	case "added":
		return fmt.Sprintf("+ config %s: %s", d.Name, d.After)
	case "removed":
		return fmt.Sprintf("- config %s: %s", d.Name, d.Before)
	}
	return fmt.Sprintf("~ config %s: %s → %s", d.Name, d.Before, d.After)
}
