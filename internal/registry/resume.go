package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// chunkSize is how much of a blob a broken connection may cost at most, once
// the first one has broken.
const chunkSize = 8 << 20

// uploadSession is a large blob's. It outlives a broken connection: the registry
// is asked how much it has got, and gets the rest in chunks. The first attempt is
// one request with everything, as all registries take it; some take no chunks
// (Google's Artifact Registry) or forget what a broken request has brought
// (docker-registry), and then it starts over.
type uploadSession struct {
	location *url.URL // nil: there is none yet, or none any more
	chunk    int64    // bytes in a request, 0 for all
	whole    bool     // the registry does not take chunks
	told     int64    // bytes that the progress knows of
	content  window
}

// tell brings the progress to offset.
func (u *uploadSession) tell(transfer *transfer, offset int64) {
	transfer.add(offset - u.told)
	u.told = offset
}

// forget gives the session up.
func (u *uploadSession) forget(transfer *transfer) {
	u.location = nil
	u.tell(transfer, 0)
}

// broken keeps a session for the next attempt, where that can help.
func (u *upload) broken(transfer *transfer, err error) {
	if u.size <= chunkSize || u.session.whole || !retryable(err) {
		u.session.forget(transfer)
		return
	}
	u.session.chunk = max(u.session.chunk, chunkSize)
}

// offset asks how much of the blob the session has got. known is false when the
// registry does not say: then there must be a new session.
func (s *session) offset(ctx context.Context, u *upload) (offset int64, known bool, err error) {
	resp, err := s.do(ctx, func(ctx context.Context, _ string) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, u.session.location.String(), http.NoBody)
	})
	if err != nil {
		return 0, false, err
	}
	if retryableStatus(resp.StatusCode) {
		return 0, false, readStatusError(resp)
	}
	finish(resp)
	if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusAccepted {
		return 0, false, nil
	}
	if offset, known = parseRange(resp.Header.Get("Range"), u.size); !known {
		return 0, false, nil
	}
	if resp.Header.Get("Location") != "" {
		next, err := s.location(resp)
		if err != nil {
			return 0, false, err
		}
		u.session.location = next
	}
	return offset, true, nil
}

// parseRange reads how far an upload is. 0-0 is what registries say of an empty
// one; of a single byte it would be the same.
func parseRange(value string, size int64) (offset int64, ok bool) {
	first, last, found := strings.Cut(strings.TrimPrefix(value, "bytes="), "-")
	end, err := strconv.ParseInt(last, 10, 64)
	switch {
	case !found || first != "0" || err != nil || end < 0 || end >= size:
		return 0, false
	case end == 0:
		return 0, true
	}
	return end + 1, true
}

// sendChunks sends what is missing behind offset. It says which step failed:
// each chunk may fail as often as any other request.
func (s *session) sendChunks(ctx context.Context, u *upload, offset int64, transfer *transfer) (step string, err error) {
	u.session.tell(transfer, offset)
	for offset < u.size {
		step = "send " + strconv.FormatInt(offset/chunkSize, 10)
		chunk, err := u.session.content.read(u.layer, offset, min(u.session.chunk, u.size-offset))
		if err != nil {
			return step, fmt.Errorf("reading the layer: %w", err)
		}
		end := offset + int64(len(chunk))
		resp, err := s.do(ctx, func(ctx context.Context, _ string) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPatch, u.session.location.String(), bytes.NewReader(chunk))
			if err == nil {
				req.Header.Set("Content-Type", "application/octet-stream")
				req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, end-1))
			}
			return req, err
		})
		if err != nil {
			return step, err
		}
		if !accepted(resp) {
			return step, u.refusedChunk(readStatusError(resp), transfer)
		}
		finish(resp)
		if u.session.location, err = s.location(resp); err != nil {
			return step, err
		}
		offset = end
		u.session.tell(transfer, offset)
	}
	return "", nil
}

// refusedChunk is a registry that has no use for chunks, or not for this one.
func (u *upload) refusedChunk(err *StatusError, transfer *transfer) error {
	if err.Status >= 500 || err.Status == http.StatusForbidden || err.Status == http.StatusUnauthorized || retryableStatus(err.Status) {
		return err
	}
	u.session.whole, u.session.chunk = true, 0
	u.session.forget(transfer)
	return errRetryable{err}
}

// accepted reports whether a PATCH has been taken; ECR answers with 201.
func accepted(resp *http.Response) bool {
	return resp.StatusCode == http.StatusAccepted || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusCreated
}

// window reads a layer in pieces and keeps the last one, so that sending it
// again reads nothing twice: the layer may come from another registry.
type window struct {
	reader io.ReadCloser
	next   int64 // the reader's place
	held   []byte
	heldAt int64
}

// read gives n bytes from offset on, or fewer when some of them are held.
func (w *window) read(layer v1.Layer, offset, n int64) ([]byte, error) {
	if behind := offset - w.heldAt; behind >= 0 && behind < int64(len(w.held)) {
		return w.held[behind:], nil
	}
	if w.reader == nil || offset < w.next {
		if err := w.close(); err != nil {
			return nil, err
		}
		reader, err := layer.Compressed()
		if err != nil {
			return nil, err
		}
		w.reader, w.next = reader, 0
	}
	if _, err := io.CopyN(io.Discard, w.reader, offset-w.next); err != nil {
		return nil, err
	}
	w.next = offset
	// The former piece may still be read by a request that is over for us.
	piece := make([]byte, n)
	if _, err := io.ReadFull(w.reader, piece); err != nil {
		return nil, err
	}
	w.held, w.heldAt, w.next = piece, offset, offset+n
	return piece, nil
}

func (w *window) close() (err error) {
	if w.reader != nil {
		err = w.reader.Close()
	}
	w.reader, w.held = nil, nil
	return err
}
