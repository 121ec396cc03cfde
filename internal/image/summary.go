package image

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// Summary is what an image, or an index of several, consists of. Its JSON is what
// programs read: fields are added and never changed.
type Summary struct {
	Name       string            `json:"name"`
	Digest     string            `json:"digest"`
	Index      bool              `json:"index"`
	Images     []PlatformSummary `json:"images"`
	Signatures int               `json:"signatures"` // that nobody has checked
}

// PlatformSummary is the image of one platform.
type PlatformSummary struct {
	Platform    string            `json:"platform"`
	Digest      string            `json:"digest"`
	Created     time.Time         `json:"created"`
	Base        *Base             `json:"base,omitempty"` // nil: none is named, or the built-in one
	Size        int64             `json:"size"`           // of all layers, compressed
	Config      Config            `json:"config"`
	Layers      []Layer           `json:"layers"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Attached    []Attachment      `json:"attached,omitempty"`
}

// Base is the image that another one is built on.
type Base struct {
	Name   string `json:"name"`
	Digest string `json:"digest,omitempty"`
}

// String returns the name with the digest, as far as it is known.
func (b *Base) String() string {
	if b.Digest == "" {
		return b.Name
	}
	return b.Name + " " + b.Digest
}

// Config says how a container of the image starts.
type Config struct {
	User       string            `json:"user,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Command    []string          `json:"command,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	Env        []string          `json:"env,omitempty"`
	Ports      []string          `json:"ports,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Layer is one layer of an image.
type Layer struct {
	Name      string `json:"name,omitempty"`
	Digest    string `json:"digest"`
	DiffID    string `json:"diffID"`
	Size      int64  `json:"size"` // compressed
	CreatedBy string `json:"createdBy,omitempty"`
	FileCount int    `json:"fileCount"`
	Files     []File `json:"files,omitempty"` // if they were asked for
}

// File is a file of a layer.
type File struct {
	Path   string `json:"path"`
	Type   string `json:"type"`
	Mode   string `json:"mode"` // octal, e.g. 0644
	UID    int    `json:"uid"`
	GID    int    `json:"gid"`
	Size   int64  `json:"size"`
	Target string `json:"target,omitempty"`
	Digest string `json:"digest,omitempty"` // SHA-256 of the content

	Permissions string `json:"-"` // the mode as ls shows it
}

// Summarize reads all layers of the images and says what they consist of, with their
// files if files is true. What is attached to them is left out where the registry does
// not say it.
func (i *Images) Summarize(ctx context.Context, report progress.Reporter, files bool) (*Summary, error) {
	read, err := i.reported(ctx, report, map[v1.Hash][]contents.Entry{})
	if err != nil {
		return nil, err
	}
	out := &Summary{Name: i.Name, Digest: i.Digest.String(), Index: i.Index}
	for _, one := range read {
		described := summarize(one, files)
		if described.Attached, err = i.Attached(ctx, one.Digest); err != nil {
			report.Debug(fmt.Sprintf("what is attached to %s is not known: %v", one.Digest, err))
		}
		out.Images = append(out.Images, described)
	}
	if out.Signatures, err = i.Signatures(ctx); err != nil {
		report.Debug(fmt.Sprintf("the signatures of %s are not known: %v", i.Digest, err))
	}
	return out, nil
}

// reported is Read as a task of report, which leaves no line when it succeeds.
func (i *Images) reported(ctx context.Context, report progress.Reporter, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error) {
	task := report.Start("reading "+i.Name, 0)
	out, err := i.Read(ctx, known)
	if err != nil {
		task.Fail()
		return nil, err
	}
	task.Drop()
	return out, nil
}

func summarize(image *contents.Image, files bool) PlatformSummary {
	out := PlatformSummary{
		Platform: image.Platform.String(), Digest: image.Digest.String(), Created: image.Created,
		Annotations: image.Annotations,
		Config: Config{
			User: image.Config.User, Entrypoint: image.Config.Entrypoint, Command: image.Config.Cmd,
			WorkingDir: image.Config.WorkingDir, Env: image.Config.Env, Labels: image.Config.Labels,
			Ports: slices.Sorted(maps.Keys(image.Config.ExposedPorts)),
		},
	}
	if name := image.Annotations["org.opencontainers.image.base.name"]; name != "" {
		out.Base = &Base{Name: name, Digest: image.Annotations["org.opencontainers.image.base.digest"]}
	}
	for _, l := range image.Layers {
		out.Size += l.Size
		layer := Layer{Name: l.Comment, Digest: l.Digest.String(), DiffID: l.DiffID.String(), Size: l.Size, CreatedBy: l.CreatedBy, FileCount: l.Files()}
		if files {
			for _, e := range l.Entries {
				layer.Files = append(layer.Files, *fileOf(&e))
			}
		}
		out.Layers = append(out.Layers, layer)
	}
	return out
}

// fileOf returns nil for nil.
func fileOf(e *contents.Entry) *File {
	if e == nil {
		return nil
	}
	return &File{
		Path: "/" + e.Path, Type: string(e.Type), Mode: fmt.Sprintf("%04o", e.Mode), Permissions: e.Permissions(),
		UID: e.UID, GID: e.GID, Size: e.Size, Target: e.Target, Digest: e.Digest,
	}
}
