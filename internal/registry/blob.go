package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/backoff"
)

// open gives the content of a blob. Nothing is asked before the first Read.
func (i *image) open(d v1.Descriptor) io.ReadCloser {
	kind := "layer"
	if d.Digest == i.parsed.Config.Digest {
		kind = "config"
	}
	return &blobReader{ctx: i.ctx, sources: i.sources, want: d, hash: sha256.New(), kind: kind}
}

// blobReader reads a blob, goes on where it was when a connection breaks, moves
// to the next source when one fails for good, and reports content that does not
// match its digest instead of its end.
type blobReader struct {
	ctx     context.Context
	sources []*session
	want    v1.Descriptor
	kind    string

	body     io.ReadCloser
	offset   int64
	failures int
	hash     hash.Hash
	transfer *transfer
	err      error
}

func (b *blobReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.read(p)
	if err != nil {
		b.err = err
		if errors.Is(err, io.EOF) {
			b.finish(pulled)
		} else {
			b.finish(failed)
			if b.sources != nil {
				s := b.sources[0]
				b.err = s.c.explain(b.ctx, "registry.pull", s.host+"/"+s.repository+"@"+b.want.Digest.String(), s.host, err)
			}
		}
	}
	return n, b.err
}

// read gives bytes that arrived, or the final error.
func (b *blobReader) read(p []byte) (int, error) {
	if err := checkDescriptor(b.want, "a blob"); err != nil {
		return 0, err
	}
	if b.offset == b.want.Size {
		return 0, b.verify()
	}
	for {
		err := b.connect()
		if err == nil {
			var n int
			n, err = b.body.Read(p[:min(int64(len(p)), b.want.Size-b.offset)])
			b.hash.Write(p[:n])
			b.offset += int64(n)
			b.transfer.add(int64(n))
			switch {
			case n > 0 && b.offset == b.want.Size:
				// Verified here and not at the next Read: readers that know the size,
				// and gzip, never ask for the end.
				if err := b.verify(); !errors.Is(err, io.EOF) {
					return 0, err
				}
				return n, nil
			case n > 0:
				return n, nil // an error comes again
			case errors.Is(err, io.EOF):
				err = io.ErrUnexpectedEOF // size bytes were promised
			case err == nil:
				continue
			}
		}
		b.disconnect()
		if err := b.again(err); err != nil {
			return 0, err
		}
	}
}

// again decides whether and where to go on after err.
func (b *blobReader) again(err error) error {
	s := b.sources[0]
	b.failures++
	limit := s.attempts(len(b.sources) == 1)
	if isRefused(err) {
		limit = min(limit, s.c.opts.Policy.Refused)
	}
	if b.ctx.Err() == nil && retryable(err) && b.failures < limit {
		if waitErr := backoff.Sleep(b.ctx, s.c.opts.Policy.pause(b.failures, err)); waitErr != nil {
			return fmt.Errorf("%w, last: %w", waitErr, plainCause(err))
		}
		return nil
	}
	if len(b.sources) > 1 && b.ctx.Err() == nil {
		b.sources, b.failures = b.sources[1:], 0
		return nil
	}
	return err
}

// connect asks for the rest of the blob. A server that does not know ranges
// sends everything, and what is known already is skipped.
func (b *blobReader) connect() error {
	if b.body != nil {
		return nil
	}
	s := b.sources[0]
	if b.transfer == nil {
		b.transfer = &transfer{report: s.c.opts.Progress, blob: blob{kind: b.kind, digest: b.want.Digest.Hex[:12], size: b.want.Size, pull: true}}
	}
	//nolint:bodyclose // it becomes b.body, which disconnect closes
	resp, err := s.do(b.ctx, func(ctx context.Context, base string) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/blobs/"+b.want.Digest.String(), nil)
		if err == nil && b.offset > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", b.offset))
		}
		return req, err
	})
	if err != nil {
		return err
	}
	skip := int64(0)
	switch {
	case resp.StatusCode == http.StatusOK:
		skip = b.offset
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", b.offset)):
	default:
		return readStatusError(resp)
	}
	b.body = resp.Body
	_, err = io.CopyN(io.Discard, b.body, skip)
	return err
}

func (b *blobReader) disconnect() {
	if b.body != nil {
		// The connection is being given up; how that goes changes nothing.
		_ = b.body.Close()
		b.body = nil
	}
}

func (b *blobReader) verify() error {
	if got := hex.EncodeToString(b.hash.Sum(nil)); got != b.want.Digest.Hex {
		return fmt.Errorf("%w: want %s, got sha256:%s", errDamaged, b.want.Digest, got)
	}
	return io.EOF
}

func (b *blobReader) finish(result outcome) {
	b.disconnect()
	if b.transfer != nil {
		b.transfer.end(result)
		b.transfer = nil
	}
}

// Close before the end gives the rest up.
func (b *blobReader) Close() error {
	b.finish(failed)
	if b.err == nil {
		b.err = io.ErrClosedPipe
	}
	return nil
}
