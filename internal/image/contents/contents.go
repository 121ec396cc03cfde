// Package contents looks into images: what their layers hold, what a container
// made of them would see, and in what two of them differ. It reads images and
// knows nothing of where they come from.
package contents

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is what stands in an image of one platform.
type Image struct {
	Platform    v1.Platform
	Digest      v1.Hash
	Created     time.Time
	Config      v1.Config
	Annotations map[string]string
	Layers      []Layer // the base's first
}

// Layer is one layer, with the entries of its tar in their order.
type Layer struct {
	Digest    v1.Hash // of the compressed bytes
	DiffID    v1.Hash // of the tar
	Size      int64   // compressed, in bytes
	CreatedBy string  // from the image's history; "" where that says nothing
	Comment   string  // the same; kn-lite's own layers have their name here
	Entries   []Entry // nil before Load
}

// Files is how many entries are no folders.
func (l *Layer) Files() int {
	n := 0
	for _, e := range l.Entries {
		if e.Type != Folder {
			n++
		}
	}
	return n
}

// Type is the kind of an entry, in words for people.
type Type string

// The types of a tar's entries.
const (
	File     Type = "file"
	Folder   Type = "folder"
	Link     Type = "link"
	HardLink Type = "hard link"
	Special  Type = "special file" // a device or FIFO
)

// Entry is a file in a layer.
type Entry struct {
	Path     string // no leading slash, no trailing one
	Type     Type
	Mode     int64 // permission bits with setuid, setgid and sticky
	UID, GID int
	Size     int64
	Target   string // of a link
	Digest   string // SHA-256 of a file's content, in hex
	Modified time.Time
	Extended map[string]string // PAX records such as SCHILY.xattr.*
}

// Permissions returns the mode as ls shows it.
func (e *Entry) Permissions() string {
	mode := fs.FileMode(e.Mode & 0o777)
	for bit, flag := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if e.Mode&bit != 0 {
			mode |= flag
		}
	}
	switch e.Type {
	case Folder:
		mode |= fs.ModeDir
	case Link:
		mode |= fs.ModeSymlink
	case Special:
		mode |= fs.ModeDevice
	}
	return mode.String()
}

// Describe reads an image's manifest and config, and no layer.
func Describe(image v1.Image) (*Image, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	if len(file.RootFS.DiffIDs) != len(manifest.Layers) {
		return nil, fmt.Errorf("the manifest lists %d layers and the config %d", len(manifest.Layers), len(file.RootFS.DiffIDs))
	}
	out := &Image{
		Platform: v1.Platform{OS: file.OS, Architecture: file.Architecture, Variant: file.Variant},
		Digest:   digest, Created: file.Created.UTC(), Config: file.Config, Annotations: manifest.Annotations,
	}
	// Steps that made no layer, such as ENV, have a history too.
	history := slices.DeleteFunc(slices.Clone(file.History), func(h v1.History) bool { return h.EmptyLayer })
	for i, d := range manifest.Layers {
		l := Layer{Digest: d.Digest, DiffID: file.RootFS.DiffIDs[i], Size: d.Size}
		if i < len(history) {
			l.CreatedBy, l.Comment = history[i].CreatedBy, history[i].Comment
		}
		out.Layers = append(out.Layers, l)
	}
	return out, nil
}

// Load is Describe with the entries of every layer. Layers that known holds
// already, by their diff ID, are not read again; new ones are put there.
func Load(ctx context.Context, image v1.Image, known map[v1.Hash][]Entry) (*Image, error) {
	out, err := Describe(image)
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != len(out.Layers) {
		return nil, fmt.Errorf("the image has %d layers, and its manifest lists %d", len(layers), len(out.Layers))
	}
	for i := range out.Layers {
		id := out.Layers[i].DiffID
		entries, ok := known[id]
		if !ok {
			if entries, err = read(ctx, layers[i]); err != nil {
				return nil, fmt.Errorf("layer %s: %w", out.Layers[i].Digest, err)
			}
			known[id] = entries
		}
		out.Layers[i].Entries = entries
	}
	return out, nil
}

// read lists a layer's tar.
func read(ctx context.Context, layer v1.Layer) (entries []Entry, err error) {
	content, err := layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	entries = []Entry{}
	reader := tar.NewReader(content)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			// What is behind the end mark counts for the digest, which the layer's
			// reader checks at its own end.
			_, err = io.Copy(io.Discard, content)
			return entries, err
		}
		if err != nil {
			return nil, err
		}
		entry := entryOf(header)
		if entry.Path == "" {
			continue // the root folder itself
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue // no file, but what is true of all that follow
		}
		if entry.Type == File {
			h := sha256.New()
			if _, err := io.Copy(h, reader); err != nil {
				return nil, err
			}
			entry.Digest = hex.EncodeToString(h.Sum(nil))
		}
		entries = append(entries, entry)
	}
}

func entryOf(h *tar.Header) Entry {
	e := Entry{
		Path: clean(h.Name), Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid,
		Modified: h.ModTime.UTC(), Extended: extended(h.PAXRecords),
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		e.Type, e.Size = File, h.Size
	case tar.TypeDir:
		e.Type = Folder
	case tar.TypeSymlink:
		e.Type, e.Target = Link, h.Linkname
	case tar.TypeLink:
		e.Type, e.Target = HardLink, clean(h.Linkname)
	default:
		e.Type = Special
	}
	return e
}

// clean makes one spelling of ./a, /a and a/.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// extended leaves out the records that only spell other fields of the header.
func extended(records map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range records {
		if strings.HasPrefix(name, "SCHILY.xattr.") || strings.HasPrefix(name, "LIBARCHIVE.xattr.") {
			out[name[strings.Index(name, "xattr.")+len("xattr."):]] = value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// Tree is what a container sees: every path of the image with the layers on top
// of each other, files that upper layers delete left out
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts).
func (i *Image) Tree() map[string]Entry {
	tree := map[string]Entry{}
	for _, l := range i.Layers {
		// A layer's whiteouts are about the layers below it only, wherever in the
		// tar they stand.
		for _, e := range l.Entries {
			dir, name := path.Split(e.Path)
			switch hidden, is := strings.CutPrefix(name, ".wh."); {
			case !is:
			case hidden == ".wh..opq":
				remove(tree, strings.TrimSuffix(dir, "/"), false)
			default:
				remove(tree, dir+hidden, true)
			}
		}
		for _, e := range l.Entries {
			if strings.HasPrefix(path.Base(e.Path), ".wh.") {
				continue
			}
			if old, ok := tree[e.Path]; ok && old.Type == Folder && e.Type != Folder {
				remove(tree, e.Path, false)
			}
			tree[e.Path] = e
		}
	}
	return tree
}

// remove deletes what is below at, and at itself when it is meant too.
func remove(tree map[string]Entry, at string, itself bool) {
	if itself {
		delete(tree, at)
	}
	prefix := at + "/"
	if at == "" {
		prefix = ""
	}
	maps.DeleteFunc(tree, func(name string, _ Entry) bool { return strings.HasPrefix(name, prefix) })
}
