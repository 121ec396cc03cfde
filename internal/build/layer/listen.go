package layer

import (
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/parallel"
)

// Listener reads the tar of a layer while something else is done with it, so that
// nobody has to decompress it once more.
type Listener struct {
	// Read reads the tar. That it fails is nobody else's failure.
	Read func(tar io.Reader) error
	// Keep is called when Read has read all of a tar that is what the digest promises.
	Keep func(digest v1.Hash)
}

// Listen has listen make the listeners of each layer that is made, or whose content
// is read, from now on.
func (s *Store) Listen(listen func() []Listener) { s.listen = listen }

// listening is listeners at work.
type listening []*hearing

type hearing struct {
	Listener
	tar  *io.PipeWriter
	done chan error
}

// startListening starts listeners for one layer. Each of them needs end.
func (s *Store) startListening() listening {
	if s.listen == nil {
		return nil
	}
	var all listening
	for _, l := range s.listen() {
		content, tar := io.Pipe()
		h := &hearing{Listener: l, tar: tar, done: make(chan error, 1)}
		go func() {
			err := parallel.Guard(func() error { return l.Read(content) })()
			// Whoever writes goes on, to the end.
			_, copyErr := io.Copy(io.Discard, content)
			h.done <- errors.Join(err, copyErr)
		}()
		all = append(all, h)
	}
	return all
}

// Write gives more of the tar to all. It does not fail.
func (all listening) Write(p []byte) (int, error) {
	for _, h := range all {
		_, _ = h.tar.Write(p)
	}
	return len(p), nil
}

// end waits for all. whole says that all of the tar was written, and that it is
// the one of the layer with this digest.
func (all listening) end(digest v1.Hash, whole bool) {
	for _, h := range all {
		if !whole {
			_ = h.tar.CloseWithError(errCutShort)
		}
		_ = h.tar.Close()
		if err := <-h.done; err == nil && whole {
			h.Keep(digest)
		}
	}
}

var errCutShort = errors.New("the layer was not read to its end")
