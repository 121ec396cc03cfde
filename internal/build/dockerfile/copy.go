package dockerfile

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/pattern"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// copying is a COPY or an ADD.
type copying struct {
	instructions.SourcesAndDest
	name, from   string
	chown, chmod string
	exclude      []string
	unpack       bool // ADD: archives are unpacked
	link         bool
	where        []parser.Range
	text         string
}

// dest is the absolute destination, and whether it has to be a folder.
func (c *copying) dest(s *stage) (dest string, folder bool) {
	dest = c.DestPath
	folder = strings.HasSuffix(dest, "/") || path.Base(dest) == "."
	if !path.IsAbs(dest) {
		dest = path.Join("/", s.config.WorkingDir, dest)
	}
	return path.Clean(dest), folder || dest == "/"
}

func (b *builder) copy(ctx context.Context, s *stage, index int, c *copying) error {
	if err := b.checkMode(c.where, c.chmod); err != nil {
		return err
	}
	c.link = c.link && c.chmod == "" // as with buildkit
	if c.from != "" {
		return b.copyFrom(ctx, s, index, c)
	}
	dest, folder := c.dest(s)
	exclude, err := pattern.New(c.exclude)
	if err != nil {
		return b.at(c.where, "--exclude: %w", err)
	}
	found, err := b.collect(ctx, c, exclude)
	if err != nil {
		return b.locate(c.where, buildFault(err))
	}
	if found.count == 0 {
		b.Report.Warn(c.text + ": nothing in the context matches, and nothing is copied")
	}
	folder = folder || c.several(found.count)
	content, err := layer.ContentKey(ctx, found.files)
	if err != nil {
		return b.locate(c.where, err)
	}
	keys := []string{c.name, dest, strconv.FormatBool(folder), strconv.Itoa(found.folders), c.chown, c.chmod, strconv.FormatBool(c.link), content}
	for _, a := range found.archives {
		sum, err := layer.ContentKey(ctx, []layer.File{a})
		if err != nil {
			return b.locate(c.where, err)
		}
		keys = append(keys, sum)
	}
	nothing := c.link || s.isEmpty()
	return b.change(ctx, s, change{where: c.where, text: c.text, key: digest(keys...), do: b.linked(ctx, c, func(r *root) error {
		for _, a := range found.archives {
			unknown, err := b.addArchive(ctx, r, a, rootfs.UnpackArgs{Dest: dest, SingleUser: b.singleUser(), Owner: c.chown})
			if err = errors.Join(err, b.unknown(unknown, nothing, c.where)); err != nil {
				return err
			}
		}
		if len(found.files) == 0 && found.folders == 0 {
			return nil
		}
		owner := c.chown
		if owner == "" {
			owner = "0:0"
		}
		args := rootfs.PutArgs{Dest: dest, Single: !folder && found.folders == 0, Owner: owner, Mode: c.chmod, SingleUser: b.singleUser()}
		return b.put(ctx, r, args, c.where, nothing, func(w io.Writer) error { return layer.WriteTar(ctx, w, found.files, b.Epoch) })
	})})
}

// put ends a COPY with the files that feed writes.
func (b *builder) put(ctx context.Context, r *root, args rootfs.PutArgs, where []parser.Range, nothing bool, feed func(io.Writer) error) error {
	var unknown []string
	return b.finish(ctx, r, lastCall{
		guest: rootfs.GuestPut, args: args, reply: &unknown, feed: feed,
		after: func() error { return b.unknown(unknown, nothing, where) },
	})
}

// several reports whether the destination is a folder because of how many sources
// there are: as many as the instruction names, or as many as were found.
func (c *copying) several(found int) bool {
	return len(c.SourcePaths)+len(c.SourceContents) > 1 || found > 1
}

// linked wraps what a COPY --link does: it happens in an empty root, and what is
// there then replaces what is in its way, links to folders too.
func (b *builder) linked(ctx context.Context, c *copying, do func(*root) error) func(*root) error {
	if !c.link {
		return do
	}
	return func(r *root) error {
		dir, err := b.box.Root()
		if err != nil {
			return err
		}
		alone := &root{dir: dir}
		if err := do(alone); err != nil {
			return err
		}
		take := rootfs.TakeArgs{Sources: []rootfs.Source{{Path: "/", Dir: true}}, SingleUser: b.singleUser()}
		return b.transfer(ctx, alone, take, rootfs.UnpackArgs{Dest: "/", SingleUser: b.singleUser()}, r)
	}
}

// transfer unpacks files of one root on another.
func (b *builder) transfer(ctx context.Context, from *root, take rootfs.TakeArgs, unpack rootfs.UnpackArgs, to *root) error {
	return b.pipe(
		func(w io.Writer) error { return b.call(ctx, from, rootfs.GuestTake, take, nil, nil, w) },
		func(in io.Reader) error { return b.call(ctx, to, rootfs.GuestUnpack, unpack, nil, in, nil) },
	)
}

// collected is what a COPY or ADD takes from the context.
type collected struct {
	files, archives []layer.File
	count, folders  int // of sources, and of folders among them
}

// collect lists the files and archives of a COPY or ADD.
func (b *builder) collect(ctx context.Context, c *copying, exclude *pattern.Matcher) (*collected, error) {
	out := &collected{}
	var files []layer.File
	for _, inline := range c.SourceContents {
		files = append(files, inlineFile(path.Base(inline.Path), inline.Data))
		out.count++
	}
	for _, pattern := range c.SourcePaths {
		matches, err := b.context.match(pattern)
		if err != nil {
			return nil, err
		}
		for _, f := range matches {
			listed, err := b.context.files(ctx, f, exclude)
			if err != nil {
				return nil, err
			}
			out.count++
			if f.dir {
				out.folders++
			} else if c.unpack && len(listed) == 1 {
				is, err := isArchive(listed[0])
				if err != nil {
					return nil, err
				}
				if is {
					out.archives = append(out.archives, listed[0])
					continue
				}
			}
			files = append(files, listed...)
		}
	}
	out.files = merge(files)
	return out, nil
}

// copyFrom is COPY --from.
func (b *builder) copyFrom(ctx context.Context, s *stage, index int, c *copying) error {
	if len(c.SourceContents) > 0 {
		return b.at(c.where, "COPY --from with a here-document: there is nothing to copy from")
	}
	from, err := b.other(ctx, index, c.from, c.where)
	if err != nil {
		return err
	}
	dest, folder := c.dest(s)
	keys := append([]string{"COPY --from", from.key, dest, strconv.FormatBool(folder), c.chown, c.chmod, strconv.FormatBool(c.link)}, c.SourcePaths...)
	keys = append(append(keys, "--exclude"), c.exclude...)
	nothing := c.link || s.isEmpty()
	return b.change(ctx, s, change{where: c.where, text: c.text, key: digest(keys...), do: b.linked(ctx, c, func(r *root) error {
		source, err := b.root(ctx, from)
		if err != nil {
			return err
		}
		var sources []rootfs.Source
		if err := b.call(ctx, source, rootfs.GuestMatch, rootfs.MatchArgs{Patterns: c.SourcePaths}, &sources, nil, nil); err != nil {
			return err
		}
		if len(sources) == 0 {
			b.Report.Warn(c.text + ": nothing in the stage matches, and nothing is copied")
			return nil
		}
		folder := folder || c.several(len(sources))
		put := rootfs.PutArgs{Dest: dest, Single: !folder && !sources[0].Dir, Owner: c.chown, Mode: c.chmod, SingleUser: b.singleUser()}
		take := rootfs.TakeArgs{Sources: sources, Exclude: c.exclude, SingleUser: b.singleUser()}
		return b.put(ctx, r, put, c.where, nothing, func(w io.Writer) error { return b.call(ctx, source, rootfs.GuestTake, take, nil, nil, w) })
	})})
}

// pipe runs write and read at the same time with a pipe between them.
func (b *builder) pipe(write func(io.Writer) error, read func(io.Reader) error) error {
	in, out, err := sandbox.Pipe()
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() { written <- errors.Join(parallel.Guard(func() error { return write(out) })(), out.Close()) }()
	readErr := read(in)
	closeErr := in.Close()
	writeErr := <-written
	if readErr != nil {
		return readErr // what the writer says then is a broken pipe
	}
	return errors.Join(writeErr, closeErr)
}

func (b *builder) addArchive(ctx context.Context, r *root, a layer.File, args rootfs.UnpackArgs) (unknown []string, err error) {
	args.Limit = expandedLimit(a.Size)
	f, err := a.Open()
	if err != nil {
		return nil, err
	}
	content, err := decompress(f)
	if err == nil {
		bounded := newUnpacked(content, a.Size)
		err = b.call(ctx, r, rootfs.GuestUnpack, args, &unknown, bounded, nil)
		if bounded.err != nil {
			err = fault.New(fault.Build, "dockerfile.add", "", "%s: %w", a.Path, bounded.err) // the other end has seen half an archive only
		}
	}
	return unknown, errors.Join(err, f.Close())
}

// isArchive reports whether ADD unpacks a file: a tar, also compressed.
func isArchive(f layer.File) (bool, error) {
	head, err := sniff(f, 512)
	if err != nil {
		return false, err
	}
	if bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")) {
		return false, fault.New(fault.Build, "dockerfile.add", "", "%s: ADD of an xz archive is not supported: use gzip or zstd, or unpack it in a RUN", f.Path)
	}
	r, err := f.Open()
	if err != nil {
		return false, err
	}
	content, err := decompress(r)
	if err == nil {
		_, err = tar.NewReader(content).Next()
	}
	return err == nil, r.Close()
}

func decompress(r io.Reader) (io.Reader, error) {
	var head [6]byte
	n, err := io.ReadFull(r, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), r)
	switch {
	case bytes.HasPrefix(head[:n], []byte("\x1f\x8b")):
		return gzip.NewReader(whole)
	case bytes.HasPrefix(head[:n], []byte("BZh")):
		return bzip2.NewReader(whole), nil
	case bytes.HasPrefix(head[:n], []byte("\x28\xb5\x2f\xfd")):
		zr, err := zstd.NewReader(whole, zstd.WithDecoderConcurrency(1))
		return zr, err
	}
	return whole, nil
}

// buildFault makes an error with no kind the Dockerfile's fault.
func buildFault(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.New(fault.Build, "dockerfile.copy", "", "%w", fmt.Errorf("%w", err))
}
