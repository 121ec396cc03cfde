package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// mountable is a layer that lives in a registry already.
type mountable interface {
	source() (host, repository string)
}

// upload is one blob on its way up.
type upload struct {
	layer     v1.Layer
	digest    v1.Hash
	size      int64
	kind      string // for messages
	tally     *tally // counts it; may be nil
	mountFrom string // another repository of the same registry that has the blob, or ""
	session   uploadSession
}

func (c *Client) transfer(u *upload) *transfer {
	return &transfer{report: c.opts.Progress, blob: blob{kind: u.kind, digest: u.digest.Hex[:12], size: u.size}, tally: u.tally}
}

// upload brings one blob to the registry unless it is there. Each attempt
// starts with asking for it again, so a commit whose reply was lost is found.
func (s *session) upload(ctx context.Context, u *upload) error {
	transfer := s.c.transfer(u)
	result, sent := failed, false
	err := s.c.retrySteps(ctx, s.c.opts.Policy.Attempts, func(ctx context.Context) (string, error) {
		exists, err := s.blobExists(ctx, u)
		if err != nil {
			return "ask", err
		}
		if exists {
			result = skipped
			if sent { // by an attempt whose reply was lost
				result = pushed
				u.session.tell(transfer, u.size)
			}
			return "", nil
		}
		offset, there, err := s.openUpload(ctx, u, transfer)
		if err != nil {
			return "start", err
		}
		if there {
			result = mounted
			return "", nil
		}
		sent = true
		step := "send"
		if u.session.chunk > 0 {
			step, err = s.sendChunks(ctx, u, offset, transfer)
		} else {
			err = s.sendBlob(ctx, u, transfer)
		}
		if err != nil {
			u.broken(transfer, err)
			return step, err
		}
		if err := s.commitBlob(ctx, u); err != nil {
			u.session.forget(transfer)
			return "commit", err
		}
		result = pushed
		return "", nil
	})
	if closeErr := u.session.content.close(); err == nil {
		err = closeErr
	}
	if err != nil {
		result = failed
	}
	transfer.end(result)
	return err
}

// openUpload goes on with the session of an earlier attempt, or begins one.
func (s *session) openUpload(ctx context.Context, u *upload, transfer *transfer) (offset int64, mounted bool, err error) {
	if u.session.location != nil {
		offset, known, err := s.offset(ctx, u)
		if err != nil || known {
			return offset, false, err
		}
		u.session.forget(transfer)
	}
	u.session.location, mounted, err = s.startUpload(ctx, u)
	return 0, mounted, err
}

// blobExists asks for the blob; an answer that does not fit counts as no.
func (s *session) blobExists(ctx context.Context, u *upload) (bool, error) {
	resp, err := s.do(ctx, func(ctx context.Context, base string) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodHead, base+"/blobs/"+u.digest.String(), nil)
	})
	if err != nil {
		return false, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		finish(resp)
		got := resp.Header.Get("Docker-Content-Digest")
		return got == u.digest.String() || got == "" && resp.ContentLength == u.size, nil
	case http.StatusNotFound:
		finish(resp)
		return false, nil
	}
	return false, readStatusError(resp)
}

// startUpload opens an upload session, or has the blob mounted if it can be.
func (s *session) startUpload(ctx context.Context, u *upload) (location *url.URL, mounted bool, err error) {
	resp, err := s.do(ctx, func(ctx context.Context, base string) (*http.Request, error) {
		target := base + "/blobs/uploads/"
		if u.mountFrom != "" {
			target += "?" + url.Values{"mount": {u.digest.String()}, "from": {u.mountFrom}}.Encode()
		}
		return http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	})
	if err != nil {
		return nil, false, err
	}
	switch {
	case resp.StatusCode == http.StatusCreated && u.mountFrom != "":
		finish(resp)
		return nil, true, nil
	case resp.StatusCode == http.StatusAccepted:
		finish(resp)
		// What a registry needs at least in a chunk, from version 1.1 of the specification.
		if least, err := strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64); err == nil && u.session.chunk > 0 {
			u.session.chunk = min(max(least, chunkSize), 8*chunkSize)
		}
		location, err = s.location(resp)
		return location, false, err
	}
	return nil, false, readStatusError(resp)
}

// location is where the next step goes. It may be relative, and may be another
// host, which then gets no credentials.
func (s *session) location(resp *http.Response) (*url.URL, error) {
	location, err := resp.Location()
	if err != nil {
		return nil, errRetryable{fmt.Errorf("%s %s: the reply has no usable Location", resp.Request.Method, redact(resp.Request.URL))}
	}
	if err := s.c.checkTarget(s.host, location); err != nil {
		return nil, err
	}
	return location, nil
}

// sendBlob uploads the content in one request. Sending it again is left to the
// next attempt; only a renewed token or a redirect repeats it here.
func (s *session) sendBlob(ctx context.Context, u *upload, transfer *transfer) error {
	body := &countedBody{transfer: transfer}
	resp, err := s.do(ctx, func(ctx context.Context, _ string) (*http.Request, error) {
		reader, err := body.open(u.layer)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPatch, u.session.location.String(), reader)
		if err != nil {
			return nil, err
		}
		req.GetBody = func() (io.ReadCloser, error) { return body.open(u.layer) }
		req.ContentLength = u.size
		if u.size == 0 {
			req.Body = http.NoBody
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		return req, nil
	})
	if err != nil {
		body.takeBack()
		return err
	}
	if !accepted(resp) {
		body.takeBack()
		return lostSession(readStatusError(resp))
	}
	finish(resp)
	next, err := s.location(resp)
	if err != nil {
		body.takeBack()
		return err
	}
	u.session.location, u.session.told = next, u.size
	return nil
}

// commitBlob makes the uploaded content a blob under its digest.
func (s *session) commitBlob(ctx context.Context, u *upload) error {
	resp, err := s.do(withWork(ctx, u.size), func(ctx context.Context, _ string) (*http.Request, error) {
		target := *u.session.location
		query := target.Query()
		query.Set("digest", u.digest.String())
		target.RawQuery = query.Encode()
		return http.NewRequestWithContext(ctx, http.MethodPut, target.String(), nil)
	})
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusNoContent {
		return lostSession(readStatusError(resp))
	}
	defer finish(resp)
	if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != u.digest.String() {
		return errRetryable{fmt.Errorf("the registry stored %s in place of the blob %s", oneLine(got), u.digest)}
	}
	return nil
}

// lostSession marks refusals in the middle of an upload that a new session can
// cure: the session is unknown, its offset is another, the content was damaged
// on the way.
func lostSession(err *StatusError) error {
	switch err.Status {
	case http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable:
		return errRetryable{err}
	case http.StatusBadRequest:
		if err.Code == "DIGEST_INVALID" || err.Code == "BLOB_UPLOAD_INVALID" || err.Code == "SIZE_INVALID" {
			return errRetryable{err}
		}
	}
	return err
}

// countedBody tells the progress what has been read, and takes it back when
// the bytes must be sent again. The transport may go on reading a body for a
// moment after the request is over; what it reads then does not count.
type countedBody struct {
	transfer *transfer

	mu      sync.Mutex
	current *counter
	sent    int64
}

func (b *countedBody) open(layer v1.Layer) (io.ReadCloser, error) {
	reader, err := layer.Compressed()
	if err != nil {
		return nil, fmt.Errorf("reading the layer: %w", err)
	}
	b.takeBack()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = &counter{reader, b}
	return b.current, nil
}

func (b *countedBody) takeBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.transfer.add(-b.sent)
	b.sent, b.current = 0, nil
}

func (b *countedBody) count(from *counter, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current == from {
		b.sent += int64(n)
		b.transfer.add(int64(n))
	}
}

type counter struct {
	io.ReadCloser
	body *countedBody
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.body.count(c, n)
	return n, err
}
