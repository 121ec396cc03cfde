package layer

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

// Adopt takes a layer that another machine has made and remembers it under key.
// Where it comes from is not trusted: its bytes have to be those of its digest,
// and the tar in them that of its diff ID.
func (s *Store) Adopt(key string, epoch time.Time, foreign v1.Layer) (*Layer, error) {
	var r record
	var err error
	if r.Digest, err = foreign.Digest(); err != nil {
		return nil, err
	}
	if r.DiffID, err = foreign.DiffID(); err != nil {
		return nil, err
	}
	err = atomicfile.Create(s.blobs(), sealed.Options(), func(f *os.File) (_ string, err error) {
		r.Size, err = copyVerified(f, foreign, r)
		return r.Digest.Hex, err
	})
	if err != nil {
		return nil, err
	}
	l := s.layer(r)
	return l, s.Remember(key, epoch, l)
}

// copyVerified copies the compressed bytes of a layer and returns their number.
func copyVerified(f *os.File, foreign v1.Layer, want record) (size int64, err error) {
	content, err := foreign.Compressed()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	digest, diffID := &counter{Hash: sha256.New()}, sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, digest), content); err != nil {
		return 0, err
	}
	if got := toHash(digest); got != want.Digest {
		return 0, fmt.Errorf("the layer is said to be %s and is %s", want.Digest, got)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	// The file is closed by who made it.
	files, err := Gunzip(io.NopCloser(f))
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(diffID, files); err != nil {
		return 0, errors.Join(err, files.Close())
	}
	if got := toHash(diffID); got != want.DiffID {
		return 0, fmt.Errorf("the files of the layer %s are said to be %s and are %s", want.Digest, want.DiffID, got)
	}
	return digest.n, files.Close()
}
