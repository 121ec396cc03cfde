package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/term"
)

type inspectOptions struct {
	lookOptions
	Name       string
	Files      bool
	SBOM       bool
	Provenance bool
}

// imageAnswer is an image as -o json shows it.
type imageAnswer struct {
	header
	*image.Summary
}

func newImageInspectCmd(f *Factory, runF func(context.Context, *inspectOptions) error) *cobra.Command {
	o := &inspectOptions{}
	cmd := &cobra.Command{
		Use:   "inspect REF | oci:DIR | tar:FILE | DIR",
		Short: "Show what is in an image: layers, files, configuration, base",
		Long: `Inspect shows an image's platforms, its base, how it starts and its layers, with
the number of files in each. With --files every file of every layer is listed.
All layers are read for that, from the registry too.

A folder is that of a function: what kn-lite build has left there is shown.

SBOM, provenance and signatures of the image are named; nothing about them
is checked, kn-lite image verify does that. --sbom and --provenance print the
document itself, with no other output.`,
		Example: `  # What kn-lite build left here
  kn-lite image inspect .

  # An image in a registry, one platform of it, with its files
  kn-lite image inspect registry.example/me/hello:v1 --platform linux/arm64 --files

  # What it is made of
  kn-lite image inspect registry.example/me/hello:v1 --sbom > hello.spdx.json

  # Who the image runs as
  kn-lite image inspect oci:image -o 'jsonpath={.images[0].config.user}'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Name = args[0]; o.SBOM && o.Provenance {
				return fault.Usagef("--sbom and --provenance: choose one")
			}
			return runner(f, runF, bounded(runImageInspect))(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Files, "files", false, "list the files of each layer")
	cmd.Flags().BoolVar(&o.SBOM, "sbom", false, "print the SBOM (SPDX)")
	cmd.Flags().BoolVar(&o.Provenance, "provenance", false, "print the provenance (in-toto, SLSA)")
	o.add(f, cmd)
	return cmd
}

func runImageInspect(ctx context.Context, f *Factory, o *inspectOptions) error {
	request := o.request(o.Name)
	request.Files = o.Files
	document := f.App().ImageSBOM
	switch {
	case o.Provenance:
		document = f.App().ImageProvenance
	case !o.SBOM:
		out, err := f.App().InspectImage(ctx, request)
		if err != nil {
			return err
		}
		return f.print(answer{
			Object: imageAnswer{head("Image"), out}, Names: []string{out.Digest},
			Table: func() error { return writeImageSummary(f.IO, out) },
		})
	}
	found, err := document(ctx, request)
	if err != nil {
		return err
	}
	return f.IO.Exact(strings.TrimSuffix(string(found.Text), "\n"))
}

// writeImageSummary is the answer for people.
func writeImageSummary(streams *term.IO, out *image.Summary) error {
	lines := []string{"image      " + out.Name, "digest     " + out.Digest}
	if out.Signatures > 0 {
		lines = append(lines, "signed     "+plural(out.Signatures, "signature")+", not checked: kn-lite image verify")
	}
	for i := range out.Images {
		image := &out.Images[i]
		lines = append(lines, "platform   "+image.Platform)
		if out.Index {
			lines = append(lines, "  digest   "+image.Digest)
		}
		add := func(name, value string) {
			if value != "" {
				lines = append(lines, fmt.Sprintf("  %-8s %s", name, value))
			}
		}
		if image.Base != nil {
			add("base", image.Base.String())
		}
		add("created", image.Created.Format(time.RFC3339))
		add("user", image.Config.User)
		add("starts", contents.Words(append(slices.Clone(image.Config.Entrypoint), image.Config.Command...)))
		add("folder", image.Config.WorkingDir)
		add("ports", strings.Join(image.Config.Ports, " "))
		for _, kv := range image.Config.Env {
			add("env", kv)
		}
		for _, name := range slices.Sorted(maps.Keys(image.Config.Labels)) {
			add("label", name+"="+image.Config.Labels[name])
		}
		for _, a := range image.Attached {
			// The column is narrow.
			add(strings.Replace(a.Kind, "provenance", "origin", 1), a.Digest)
		}
		add("size", fmt.Sprintf("%s in %s", progress.Bytes(image.Size), plural(len(image.Layers), "layer")))
	}
	if err := answerLines(streams, lines...); err != nil {
		return err
	}
	for i := range out.Images {
		if err := writeLayers(streams, &out.Images[i], len(out.Images) > 1); err != nil {
			return err
		}
	}
	return nil
}

func writeLayers(streams *term.IO, image *image.PlatformSummary, several bool) error {
	title := ""
	if several {
		title = image.Platform
	}
	if err := streams.Answer("%s", title); err != nil {
		return err
	}
	layers := term.NewTable("LAYER", "SIZE", "FILES", "CREATED BY", "DIGEST")
	for i, l := range image.Layers {
		layers.Row(cmp.Or(l.Name, strconv.Itoa(i+1)), progress.Bytes(l.Size), strconv.Itoa(l.FileCount), short(l.CreatedBy, 50), l.Digest)
	}
	if err := streams.Write(layers); err != nil {
		return err
	}
	files := term.NewTable("LAYER", "MODE", "OWNER", "SIZE", "PATH")
	n := 0
	for i, l := range image.Layers {
		for _, e := range l.Files {
			n++
			path := e.Path
			if e.Target != "" {
				path += " -> " + e.Target
			}
			files.Row(cmp.Or(l.Name, strconv.Itoa(i+1)), e.Permissions, fmt.Sprintf("%d:%d", e.UID, e.GID), strconv.FormatInt(e.Size, 10), path)
		}
	}
	if n == 0 {
		return nil
	}
	if err := streams.Answer(""); err != nil {
		return err
	}
	return streams.Write(files)
}

// short cuts text to n characters on one line.
func short(text string, n int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}
