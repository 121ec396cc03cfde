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
	"os"
	"path"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
)

// errLost is a client that is not there any more.
var errLost = errors.New("nothing has been heard of the client")

// Client is the other end, seen from the pod.
type Client struct {
	in      *bufio.Reader
	cancel  context.CancelCauseFunc
	silence time.Duration
}

// Accept reads from in, whose other end may fall silent for that long; then the
// context that it returns is cancelled.
func Accept(ctx context.Context, in io.Reader, silence time.Duration) (context.Context, *Client) {
	ctx, cancel := context.WithCancelCause(ctx)
	c := &Client{cancel: cancel, silence: silence}
	c.in = bufio.NewReaderSize(&listener{in, c}, 64<<10)
	return ctx, c
}

// Lost reports whether ctx, which Accept made, ended because the client is gone.
func Lost(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errLost) }

// listener gives up on a Read that takes too long.
type listener struct {
	in io.Reader
	c  *Client
}

func (l *listener) Read(p []byte) (int, error) {
	timer := time.AfterFunc(l.c.silence, func() { l.c.cancel(errLost) })
	defer timer.Stop()
	return l.in.Read(p)
}

// Receive reads the order and unpacks the context into the folder dir, which is
// there and empty. It may return before all reading has ended when ctx is done.
func (c *Client) Receive(ctx context.Context, dir string) (*Order, error) {
	type received struct {
		order *Order
		err   error
	}
	done := make(chan received, 1)
	go func() {
		var got received
		got.err = parallel.Guard(func() (err error) {
			got.order, err = c.receive(dir)
			return err
		})()
		done <- got
	}()
	select {
	case got := <-done:
		return got.order, got.err
	case <-ctx.Done():
		if Lost(ctx) {
			return nil, cut(context.Cause(ctx))
		}
		return nil, ctx.Err()
	}
}

func cut(err error) error {
	return fault.New(fault.Transient, "clusterbuild.receive", "", "the connection to the build pod broke off while the context was sent: %w", err).
		WithHint("try again; behind a proxy that cuts long requests, a smaller context helps: see .dockerignore")
}

func (c *Client) receive(dir string) (*Order, error) {
	said := make([]byte, len(protocol))
	if _, err := io.ReadFull(c.in, said); err != nil {
		return nil, cut(err)
	}
	if string(said) != protocol {
		return nil, fault.New(fault.Conflict, "clusterbuild.receive", "", "the builder image is of another release of kn-lite, which speaks another protocol").
			WithHint("omit {Pod.Image}, or name the image of this release")
	}
	var size uint32
	if err := binary.Read(c.in, binary.BigEndian, &size); err != nil {
		return nil, cut(err)
	}
	if size > maxOrder {
		return nil, fault.New(fault.Usage, "clusterbuild.receive", "", "the order is larger than %d bytes; are the build secrets that large?", maxOrder)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(c.in, raw); err != nil {
		return nil, cut(err)
	}
	order := &Order{}
	if err := json.Unmarshal(raw, order); err != nil {
		return nil, fmt.Errorf("the order: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return order, unpack(root, &pieces{in: c.in})
}

// Watch reads signs of life until there are none any more; it is for a goroutine.
func (c *Client) Watch() {
	buffer := make([]byte, 64)
	for {
		if _, err := c.in.Read(buffer); err != nil {
			c.cancel(errLost)
			return
		}
	}
}

// pieces reads what frames has written.
type pieces struct {
	in   *bufio.Reader
	left uint32
	over bool
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.over {
		return 0, io.EOF
	}
	if p.left == 0 {
		if err := binary.Read(p.in, binary.BigEndian, &p.left); err != nil {
			return 0, cut(err)
		}
		if p.left == 0 {
			p.over = true
			return 0, io.EOF
		}
	}
	n, err := p.in.Read(b[:min(len(b), int(p.left))])
	p.left -= uint32(n)
	if err != nil {
		err = cut(err)
	}
	return n, err
}

// unpack makes the files of the archive below root, which no name leaves.
func unpack(root *os.Root, in io.Reader) error {
	zr, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	tr := tar.NewReader(zr)
	for {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			// The rest holds the checksum of all of it, and the last piece.
			_, err = io.Copy(io.Discard, zr)
			if err == nil {
				_, err = io.Copy(io.Discard, in)
			}
			return err
		}
		if err != nil {
			return err
		}
		if err := unpackEntry(root, path.Clean(header.Name), header, tr); err != nil {
			return err
		}
	}
}

func unpackEntry(root *os.Root, name string, header *tar.Header, content io.Reader) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("%q is no path in a context", header.Name)
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := header.FileInfo().Mode().Perm()
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%q is of the unknown type %q", name, header.Typeflag)
	}
	// Whatever the umask is.
	return root.Chmod(name, mode)
}
