package build

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// withHeaderCheck returns files whose reading fails when look finds fault with their
// first bytes, at most size of them.
func withHeaderCheck(files []layer.File, size int, look func(f layer.File, head []byte) error) []layer.File {
	out := slices.Clone(files)
	for i, f := range out {
		if !f.Mode.IsRegular() || f.Size < elfHead {
			continue
		}
		out[i].Open = func() (io.ReadCloser, error) {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			head := make([]byte, size)
			n, err := io.ReadFull(r, head)
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = nil // shorter than that, or than it was: who packs it notices
			}
			if err == nil {
				err = look(f, head[:n])
			}
			if err != nil {
				return nil, errors.Join(err, r.Close())
			}
			return &rejoined{io.MultiReader(bytes.NewReader(head[:n]), r), r}, nil
		}
	}
	return out
}

type rejoined struct {
	io.Reader
	io.Closer
}
