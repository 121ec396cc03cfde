package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// recipe names everything besides the input that the bytes of a layer depend
// on: the tar writer below, the compressor and its level. A release that changes
// one of them changes this text, or the store would serve layers of the old kind.
const recipe = "kn-lite layer 1, klauspost gzip 5"

// Store keeps layers in a folder: blobs/sha256/HEX holds the compressed bytes,
// layers/KEY.json what is known about them. Any number of processes may use it at once:
// files appear by rename only.
type Store struct {
	dir      string
	now      func() time.Time
	limit    int64 // of the blobs, in bytes
	fetching locks
	listen   func() []Listener // nil is none
}

// Open makes a store in dir/layers and dir/blobs. now decides what Prune
// removes; with nil nothing is ever old.
func Open(dir string, now func() time.Time) (*Store, error) {
	if dir == "" {
		return nil, fault.New(fault.Failure, "layer.open", "", "no cache folder is set")
	}
	s := &Store{dir: dir, now: now, limit: maxBlobs}
	for _, sub := range []string{s.blobs(), s.records()} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return nil, (&fault.Error{Op: "layer.open", Subject: dir, Err: err}).
				WithHint("the cache folder must be writable; set XDG_CACHE_HOME to one that is")
		}
	}
	return s, nil
}

func (s *Store) blobs() string   { return filepath.Join(s.dir, "blobs", "sha256") }
func (s *Store) records() string { return filepath.Join(s.dir, "layers") }

// record is the JSON of layers/KEY.json.
type record struct {
	Digest v1.Hash `json:"digest"`
	DiffID v1.Hash `json:"diffID"`
	Size   int64   `json:"size"`
}

// Find gives the layer that was remembered under key. A record whose blob is
// gone or damaged counts as not found.
func (s *Store) Find(key string, epoch time.Time) (*Layer, bool) {
	recordFile := s.recordFile(key, epoch)
	raw, err := sealed.Read(recordFile)
	if err != nil {
		return nil, false
	}
	var r record
	if json.Unmarshal(raw, &r) != nil {
		return nil, false
	}
	l := s.layer(r)
	if !l.intact() {
		return nil, false
	}
	// The time of the last use decides what Prune keeps; without it the layer is
	// only made again some day.
	s.touch(recordFile, l.file)
	return l, true
}

// Remember makes Find(key) answer l from now on.
func (s *Store) Remember(key string, epoch time.Time, l *Layer) error {
	raw, err := json.Marshal(record{Digest: l.digest, DiffID: l.diffID, Size: l.size})
	if err != nil {
		return err
	}
	return sealed.Write(s.recordFile(key, epoch), raw)
}

func (s *Store) recordFile(key string, epoch time.Time) string {
	return filepath.Join(s.records(), Name(key, epoch)+".json")
}

// Name is the layer under key in 64 hexadecimal digits, the same on every machine.
func Name(key string, epoch time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", recipe, epoch.Unix(), key))
	return hex.EncodeToString(sum[:])
}

func (s *Store) layer(r record) *Layer {
	return &Layer{digest: r.Digest, diffID: r.DiffID, size: r.Size, file: filepath.Join(s.blobs(), r.Digest.Hex)}
}

// Write makes the layer that holds files, with every time stamp at epoch, or
// finds it among those that were made before (cached).
func (s *Store) Write(ctx context.Context, files []File, epoch time.Time) (l *Layer, cached bool, err error) {
	files, err = arrange(files)
	if err != nil {
		return nil, false, err
	}
	key, err := contentKey(ctx, files)
	if err != nil {
		return nil, false, err
	}
	if l, ok := s.Find(key, epoch); ok {
		return l, true, nil
	}
	var r record
	err = atomicfile.Create(s.blobs(), sealed.Options(), func(f *os.File) (_ string, err error) {
		heard := s.startListening()
		r, err = pack(ctx, f, heard, files, epoch)
		heard.end(r.Digest, err == nil)
		return r.Digest.Hex, err
	})
	if err != nil {
		return nil, false, err
	}
	l = s.layer(r)
	return l, false, s.Remember(key, epoch, l)
}

// Layer is a layer in a store. It implements v1.Layer.
type Layer struct {
	digest, diffID v1.Hash
	size           int64
	file           string
}

var _ v1.Layer = (*Layer)(nil)

// Digest is over the compressed bytes.
func (l *Layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the digest of the tar.
func (l *Layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size is that of the compressed bytes.
func (l *Layer) Size() (int64, error) { return l.size, nil }

// MediaType is a gzipped OCI layer.
func (l *Layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed reads the bytes that a registry gets.
func (l *Layer) Compressed() (io.ReadCloser, error) { return regular.Open(l.file) }

// Uncompressed reads the tar.
func (l *Layer) Uncompressed() (io.ReadCloser, error) {
	f, err := regular.Open(l.file)
	if err != nil {
		return nil, err
	}
	return Gunzip(f)
}

// intact reports whether the blob is what its name says: a build that was killed,
// a full disk or a curious user may have left something else.
func (l *Layer) intact() bool {
	f, err := regular.Open(l.file)
	if err != nil {
		return false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != l.size {
		return false
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == l.digest.Hex
}

// ErrChanged is the cause when a file did not hold still.
var ErrChanged = errors.New("the file changed while it was read; build again when nothing writes to the folder")

func describe(f File, err error) error {
	kind := fault.Failure
	if errors.Is(err, ErrChanged) || errors.Is(err, fs.ErrNotExist) {
		kind = fault.Conflict
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return &fault.Error{Op: "layer.write", Kind: kind, Subject: f.Path, Err: err}
}
