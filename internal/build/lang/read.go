package lang

import (
	"errors"
	"io"
	"io/fs"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// ReadFile is the content of a file that the plan for a language needs, nil when
// there is none. A fault.Usage when it is no regular file of at most limit bytes.
func ReadFile(files fs.FS, language, name string, limit int64) ([]byte, error) {
	f, err := files.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fault.New(fault.Usage, "build."+language, name, "not a regular file of at most %d MB", limit>>20)
	}
	raw, err := io.ReadAll(io.LimitReader(f, limit))
	if raw == nil && err == nil {
		raw = []byte{}
	}
	return raw, err
}
