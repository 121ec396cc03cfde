package cli

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
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

// imageAnswer is an image, or an index of several, as -o json shows it.
type imageAnswer struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Name       string          `json:"name"`
	Digest     string          `json:"digest"`
	Index      bool            `json:"index"`
	Images     []platformImage `json:"images"`
	Signatures int             `json:"signatures"` // that nobody has checked
}

type platformImage struct {
	Platform    string            `json:"platform"`
	Digest      string            `json:"digest"`
	Created     time.Time         `json:"created"`
	Base        *baseInfo         `json:"base,omitempty"` // nil: none is named, or the built-in one
	Size        int64             `json:"size"`           // of all layers, compressed
	Config      imageConfig       `json:"config"`
	Layers      []imageLayer      `json:"layers"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Attached    []attachedInfo    `json:"attached,omitempty"`
}

type baseInfo struct {
	Name   string `json:"name"`
	Digest string `json:"digest,omitempty"`
}

type imageConfig struct {
	User       string            `json:"user,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Command    []string          `json:"command,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	Env        []string          `json:"env,omitempty"`
	Ports      []string          `json:"ports,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

type imageLayer struct {
	Name      string      `json:"name,omitempty"`
	Digest    string      `json:"digest"`
	DiffID    string      `json:"diffID"`
	Size      int64       `json:"size"` // compressed
	CreatedBy string      `json:"createdBy,omitempty"`
	FileCount int         `json:"fileCount"`
	Files     []imageFile `json:"files,omitempty"` // with --files
}

type imageFile struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Mode   string `json:"mode"` // octal, e.g. 0644
	UID    int    `json:"uid"`
	GID    int    `json:"gid"`
	Size   int64  `json:"size"`
	Target string `json:"target,omitempty"`
	Digest string `json:"digest,omitempty"` // SHA-256 of the content
}

func newImageInspectCmd(f *Factory) *cobra.Command {
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
			o.Name = args[0]
			ctx, cancel := f.withTimeout(cmd.Context(), 0)
			defer cancel()
			return runImageInspect(ctx, f, o)
		},
	}
	cmd.Flags().BoolVar(&o.Files, "files", false, "list the files of each layer")
	cmd.Flags().BoolVar(&o.SBOM, "sbom", false, "print the SBOM (SPDX)")
	cmd.Flags().BoolVar(&o.Provenance, "provenance", false, "print the provenance (in-toto, SLSA)")
	addLookFlags(f, cmd, &o.lookOptions)
	return cmd
}

func runImageInspect(ctx context.Context, f *Factory, o *inspectOptions) error {
	if o.SBOM && o.Provenance {
		return fault.Usagef("--sbom and --provenance: choose one")
	}
	found, err := openImages(ctx, f, o.Name, &o.lookOptions)
	if err != nil {
		return err
	}
	switch {
	case o.SBOM:
		return printDocument(ctx, f.IO, found, attest.SPDXType, "SBOM")
	case o.Provenance:
		return printDocument(ctx, f.IO, found, attest.InTotoType, "provenance")
	}
	images, err := readImages(ctx, f.IO, found, map[v1.Hash][]contents.Entry{})
	if err != nil {
		return err
	}
	out := imageAnswer{APIVersion: apiVersion, Kind: "Image", Name: found.Name, Digest: found.Digest.String(), Index: found.Index}
	for _, one := range images {
		described := describeImage(one, o.Files)
		described.Attached = attachedTo(ctx, f.IO, found, one.Digest)
		out.Images = append(out.Images, described)
	}
	out.Signatures = countSignatures(ctx, f.IO, found)
	return f.print(answer{Object: out, Names: []string{out.Digest}, Table: func() error { return writeImageSummary(f.IO, &out) }})
}

func describeImage(image *contents.Image, files bool) platformImage {
	out := platformImage{
		Platform: image.Platform.String(), Digest: image.Digest.String(), Created: image.Created,
		Annotations: image.Annotations,
		Config: imageConfig{
			User: image.Config.User, Entrypoint: image.Config.Entrypoint, Command: image.Config.Cmd,
			WorkingDir: image.Config.WorkingDir, Env: image.Config.Env, Labels: image.Config.Labels,
			Ports: slices.Sorted(maps.Keys(image.Config.ExposedPorts)),
		},
	}
	if name := image.Annotations["org.opencontainers.image.base.name"]; name != "" {
		out.Base = &baseInfo{Name: name, Digest: image.Annotations["org.opencontainers.image.base.digest"]}
	}
	for _, l := range image.Layers {
		out.Size += l.Size
		layer := imageLayer{Name: l.Comment, Digest: l.Digest.String(), DiffID: l.DiffID.String(), Size: l.Size, CreatedBy: l.CreatedBy, FileCount: l.Files()}
		if files {
			for _, e := range l.Entries {
				layer.Files = append(layer.Files, fileInfo(&e))
			}
		}
		out.Layers = append(out.Layers, layer)
	}
	return out
}

func fileInfo(e *contents.Entry) imageFile {
	return imageFile{
		Path: "/" + e.Path, Type: string(e.Type), Mode: fmt.Sprintf("%04o", e.Mode),
		UID: e.UID, GID: e.GID, Size: e.Size, Target: e.Target, Digest: e.Digest,
	}
}

// writeImageSummary is the answer for people.
func writeImageSummary(streams *term.IO, out *imageAnswer) error {
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
			add("base", strings.TrimSuffix(image.Base.Name+" "+image.Base.Digest, " "))
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
	for _, line := range lines {
		if err := streams.Answer("%s", line); err != nil {
			return err
		}
	}
	for i := range out.Images {
		if err := writeLayers(streams, &out.Images[i], len(out.Images) > 1); err != nil {
			return err
		}
	}
	return nil
}

func writeLayers(streams *term.IO, image *platformImage, several bool) error {
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
			files.Row(cmp.Or(l.Name, strconv.Itoa(i+1)), modeText(&e), fmt.Sprintf("%d:%d", e.UID, e.GID), strconv.FormatInt(e.Size, 10), path)
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

// modeText is a mode as ls has it.
func modeText(e *imageFile) string {
	bits, err := strconv.ParseUint(e.Mode, 8, 32)
	if err != nil {
		return e.Mode
	}
	mode := fs.FileMode(bits & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	switch contents.Type(e.Type) {
	case contents.Folder:
		mode |= fs.ModeDir
	case contents.Link:
		mode |= fs.ModeSymlink
	case contents.Special:
		mode |= fs.ModeDevice
	}
	return mode.String()
}

// short cuts text to n characters on one line.
func short(text string, n int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) <= n {
		return string(runes)
	}
	return string(runes[:n-1]) + "…"
}
