package layer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Blob is a layer of somebody else's image in the store, as its registry has it.
type Blob struct {
	Digest, DiffID v1.Hash
	Size           int64 // of the compressed bytes

	file   string
	listen func() listening
}

// Fetch returns the blob of a layer. It is downloaded unless the store has it
// intact: a blob that is damaged or cut short is replaced.
func (s *Store) Fetch(ctx context.Context, l v1.Layer) (*Blob, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	diffID, err := l.DiffID()
	if err != nil {
		return nil, err
	}
	lock := s.fetching.of(digest.Hex)
	lock.Lock()
	defer lock.Unlock()
	b := &Blob{Digest: digest, DiffID: diffID, file: filepath.Join(s.blobs(), digest.Hex), listen: s.startListening}
	if b.Size, err = sizeIfIntact(b.file, digest); err == nil {
		s.touch(b.file)
		return b, nil
	}
	return b, atomicfile.WriteTo(b.file, sealed.Options(), func(f *os.File) (err error) {
		b.Size, err = download(ctx, f, l, digest)
		return err
	})
}

// sizeIfIntact returns the size of a file whose digest is right.
func sizeIfIntact(file string, digest v1.Hash) (int64, error) {
	f, err := regular.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := &counter{Hash: sha256.New()}
	if _, err := io.Copy(h, f); err != nil {
		return 0, err
	}
	if toHash(h) != digest {
		return 0, errDamaged
	}
	return h.n, nil
}

var errDamaged = errors.New("its content does not match its digest")

func download(ctx context.Context, w io.Writer, l v1.Layer, digest v1.Hash) (size int64, err error) {
	content, err := l.Compressed()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	h := &counter{Hash: sha256.New()}
	if _, err := io.Copy(io.MultiWriter(w, h), &cancellable{ctx, content}); err != nil {
		return 0, err
	}
	if got := toHash(h); got != digest {
		return 0, fault.New(fault.Failure, "layer.fetch", digest.String(), "the layer arrived with the digest %s", got)
	}
	return h.n, nil
}

// cancellable is a reader that ends with its context.
type cancellable struct {
	ctx context.Context
	io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// Uncompressed returns the tar in the blob. The last Read, and not io.EOF, says
// that the tar is not the one that the image's configuration promises.
func (b *Blob) Uncompressed() (io.ReadCloser, error) {
	f, err := regular.Open(b.file)
	if err != nil {
		return nil, err
	}
	content, err := expand(bufio.NewReaderSize(f, 1<<18))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the layer %s: %w", b.Digest, err), f.Close())
	}
	return &verified{content: content, file: f, hash: sha256.New(), blob: b, heard: b.listen()}, nil
}

// expand decompresses by what the content is, since media types are often wrong.
func expand(r *bufio.Reader) (io.ReadCloser, error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		zr, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return zr.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// verified reads the tar of a blob and compares its digest at the end.
type verified struct {
	content io.ReadCloser
	file    io.Closer
	hash    hash.Hash
	blob    *Blob
	heard   listening
	whole   bool // all was read, and is right
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.content.Read(p)
	v.hash.Write(p[:n])
	_, _ = v.heard.Write(p[:n])
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if v.whole = hex.EncodeToString(v.hash.Sum(nil)) == v.blob.DiffID.Hex; !v.whole {
		err = fault.New(fault.Failure, "layer.expand", v.blob.Digest.String(),
			"its files have the digest sha256:%x, and the image's configuration says %s", v.hash.Sum(nil), v.blob.DiffID).
			WithHint("the image was damaged or forged when it was made; build or pull it again")
	}
	return n, err
}

func (v *verified) Close() error {
	v.heard.end(v.blob.Digest, v.whole)
	v.heard = nil
	return errors.Join(v.content.Close(), v.file.Close())
}
