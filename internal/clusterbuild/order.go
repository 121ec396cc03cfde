package clusterbuild

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// protocol is the first line of what the pod reads; another number is another
// format. The two sides may be different releases when a builder image is named.
const protocol = "kn-lite cluster build 1\n"

// Order is what the pod is told to do.
type Order struct {
	Options dockerfile.Options `json:"options"` // File is the Dockerfile's path in the context, or what messages call it
	// Dockerfile is its content when it is not in the context.
	Dockerfile []byte `json:"dockerfile,omitempty"`
	// Dockerignore is that of such a Dockerfile, nil when it has none of its own.
	Dockerignore []byte            `json:"dockerignore,omitempty"`
	Platforms    []string          `json:"platforms"`
	Epoch        time.Time         `json:"epoch"`
	Labels       map[string]string `json:"labels,omitempty"`
	Tag          string            `json:"tag"`                 // what the image is pushed to
	CacheRepo    string            `json:"cacheRepo,omitempty"` // keeps the layers of steps
	Registry     Registry          `json:"registry"`

	// What is attached to the image. A pod of before knows nothing of it.
	SBOM       bool           `json:"sbom,omitempty"`
	Provenance bool           `json:"provenance,omitempty"`
	Source     *attest.Source `json:"source,omitempty"`
}

// Registry is how registries are reached from the pod.
type Registry struct {
	Insecure []string            `json:"insecure,omitempty"`
	Mirrors  map[string][]string `json:"mirrors,omitempty"`
	Routes   map[string]string   `json:"routes,omitempty"`
	CA       []byte              `json:"ca,omitempty"` // PEM
}

// maxOrder bounds the order: build secrets are in it.
const maxOrder = 16 << 20

// frames cuts what is written into pieces with their length before them, so that
// the end can be told from a cut. A piece of length 0 is the end.
type frames struct{ w *bufio.Writer }

func (f frames) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), 1<<16)
		if err := binary.Write(f.w, binary.BigEndian, uint32(n)); err != nil {
			return 0, err
		}
		if _, err := f.w.Write(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

func (f frames) Close() error {
	if err := binary.Write(f.w, binary.BigEndian, uint32(0)); err != nil {
		return err
	}
	return f.w.Flush()
}

// writeOrder sends the order and the context; sent hears of each part of a file.
func writeOrder(ctx context.Context, w io.Writer, order *Order, files []layer.File, sent func(n int64)) error {
	raw, err := json.Marshal(order)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	if _, err := out.WriteString(protocol); err != nil {
		return err
	}
	if err := binary.Write(out, binary.BigEndian, uint32(len(raw))); err != nil {
		return err
	}
	if _, err := out.Write(raw); err != nil {
		return err
	}
	body := frames{out}
	// Only what is whole gets its end.
	if err := WriteContext(ctx, body, files, sent); err != nil {
		return err
	}
	return body.Close()
}

// ContextSize returns how many bytes there are in files.
func ContextSize(files []layer.File) int64 {
	var total int64
	for _, f := range files {
		total += f.Size
	}
	return total
}

// WriteContext writes files as a compressed archive whose entries belong to root;
// sent hears of each part of a file.
func WriteContext(ctx context.Context, w io.Writer, files []layer.File, sent func(n int64)) error {
	// The fastest level: the way to the API server is rarely slower than that.
	zw, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zw)
	for _, f := range files {
		if err := writeFile(ctx, tw, f, sent); err != nil {
			if _, ok := errors.AsType[*fault.Error](err); ok || ctx.Err() != nil || errors.Is(err, io.ErrClosedPipe) {
				return err
			}
			return &fault.Error{Op: "clusterbuild.send", Kind: fault.Conflict, Subject: f.Path, Err: err}
		}
	}
	return errors.Join(tw.Close(), zw.Close())
}

func writeFile(ctx context.Context, tw *tar.Writer, f layer.File, sent func(int64)) error {
	header := &tar.Header{Name: f.Path, Mode: int64(f.Mode.Perm()), Format: tar.FormatPAX}
	switch {
	case f.Mode.IsRegular():
		header.Typeflag, header.Size = tar.TypeReg, f.Size
	case f.Mode.IsDir():
		header.Typeflag = tar.TypeDir
	case f.Mode.Type() == fs.ModeSymlink:
		header.Typeflag, header.Linkname = tar.TypeSymlink, f.Link
	default:
		return fmt.Errorf("a file of type %v", f.Mode.Type())
	}
	if err := tw.WriteHeader(header); err != nil || !f.Mode.IsRegular() {
		return err
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	n, err := io.Copy(tw, &counted{ctx: ctx, r: io.LimitReader(r, f.Size), add: sent})
	// Closing is where a late change of the file is noticed.
	if err = errors.Join(err, r.Close()); err == nil && n != f.Size {
		err = layer.ErrChanged
	}
	return err
}

// counted tells how much is read of r.
type counted struct {
	ctx context.Context
	r   io.Reader
	add func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.add(int64(n))
	return n, err
}
