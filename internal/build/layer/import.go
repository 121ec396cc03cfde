package layer

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

// Import makes a layer of a tar archive that code which is not trusted may have
// written, and remembers it under key. Owners, modes, links, attributes and
// deletions stay; the time of every entry is at most epoch, and everything that
// could differ between two archives of the same files is dropped. empty tells
// that there are no entries.
func (s *Store) Import(ctx context.Context, key string, epoch time.Time, archive io.Reader) (l *Layer, empty bool, err error) {
	var r record
	err = atomicfile.Create(s.blobs(), sealed.Options(), func(f *os.File) (_ string, err error) {
		heard := s.startListening()
		r, empty, err = repack(ctx, f, heard, archive, epoch)
		heard.end(r.Digest, err == nil)
		return r.Digest.Hex, err
	})
	if err != nil {
		return nil, false, err
	}
	l = s.layer(r)
	return l, empty, s.Remember(key, epoch, l)
}

// emptyDiffID is the digest of a tar with no entries: 1024 zeros.
const emptyDiffID = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

// Empty reports whether the layer has no entries.
func (l *Layer) Empty() bool { return l.diffID.Hex == emptyDiffID }

func repack(ctx context.Context, w, heard io.Writer, archive io.Reader, epoch time.Time) (r record, empty bool, err error) {
	disk := bufio.NewWriterSize(w, 1<<20)
	digest := &counter{Hash: sha256.New()}
	zw, err := gzip.NewWriterLevel(io.MultiWriter(disk, digest), level)
	if err != nil {
		return r, false, err
	}
	diffID := sha256.New()
	tw := tar.NewWriter(io.MultiWriter(diffID, zw, heard))
	archive = bufio.NewReaderSize(archive, 1<<18)
	reader := tar.NewReader(archive)
	buffer := make([]byte, copyBuffer)
	empty = true
	for {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return r, false, err
		}
		empty = false
		clean, err := cleanHeader(h, epoch)
		if err != nil {
			return r, false, err
		}
		if err := tw.WriteHeader(clean); err != nil {
			return r, false, err
		}
		if _, err := io.CopyBuffer(tw, reader, buffer); err != nil {
			return r, false, err
		}
	}
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return r, false, err
	}
	if err := errors.Join(tw.Close(), zw.Close(), disk.Flush()); err != nil {
		return r, false, err
	}
	return record{Digest: toHash(digest), DiffID: toHash(diffID), Size: digest.n}, empty, nil
}

// cleanHeader is h with nothing but what a layer is allowed to tell.
func cleanHeader(h *tar.Header, epoch time.Time) (*tar.Header, error) {
	name, err := cleanName(h.Name)
	if err != nil {
		return nil, err
	}
	out := &tar.Header{
		Typeflag: h.Typeflag, Name: name, Mode: h.Mode & 0o7777, Uid: h.Uid, Gid: h.Gid,
		ModTime: h.ModTime.Truncate(time.Second),
	}
	if out.ModTime.After(epoch) {
		out.ModTime = epoch.Truncate(time.Second)
	}
	switch h.Typeflag {
	case tar.TypeReg:
		out.Size = h.Size
	case tar.TypeDir:
		out.Name += "/"
	case tar.TypeSymlink:
		out.Linkname = h.Linkname
	case tar.TypeLink:
		if out.Linkname, err = cleanName(h.Linkname); err != nil {
			return nil, err
		}
	case tar.TypeFifo:
	default:
		return nil, fmt.Errorf("%s: an image cannot hold an entry of type %q", name, h.Typeflag)
	}
	for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			if out.PAXRecords == nil {
				out.PAXRecords = map[string]string{}
			}
			out.PAXRecords[key] = h.PAXRecords[key]
		}
	}
	return out, nil
}

// cleanName refuses what would leave the image's root.
func cleanName(name string) (string, error) {
	name = strings.TrimSuffix(name, "/")
	if name == "." {
		return ".", nil
	}
	if !fs.ValidPath(strings.ToValidUTF8(name, "_")) || path.IsAbs(name) {
		return "", fmt.Errorf("%q is not a path inside of an image", name)
	}
	return name, nil
}

// ContentKey is a digest over files: names, modes and contents.
func ContentKey(ctx context.Context, files []File) (string, error) {
	files, err := arrange(files)
	if err != nil {
		return "", err
	}
	return contentKey(ctx, files)
}

// WriteTar writes files as an uncompressed tar, every time stamp at epoch.
func WriteTar(ctx context.Context, w io.Writer, files []File, epoch time.Time) error {
	files, err := arrange(files)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<18)
	tw, buffer := tar.NewWriter(out), make([]byte, copyBuffer)
	for _, f := range files {
		if err := writeEntry(ctx, tw, f, epoch, buffer); err != nil {
			return describe(f, err)
		}
	}
	return errors.Join(tw.Close(), out.Flush())
}
