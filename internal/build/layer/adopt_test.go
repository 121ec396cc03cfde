package layer

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// told is a layer that says of itself what it is told to say.
type told struct {
	v1.Layer
	digest, diffID v1.Hash
	content        []byte
	err            error
}

func (f told) Digest() (v1.Hash, error) { return f.digest, nil }
func (f told) DiffID() (v1.Hash, error) { return f.diffID, nil }
func (f told) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(f.content)), f.err
}

func TestAdopt(t *testing.T) {
	epoch := time.Unix(0, 0)
	made := write(t, open(t), sample(), epoch)
	content, err := os.ReadFile(made.file)
	if err != nil {
		t.Fatal(err)
	}
	honest := told{digest: made.digest, diffID: made.diffID, content: content}
	s := open(t)
	got, err := s.Adopt("step", epoch, honest)
	if err != nil || got.digest != made.digest || got.size != made.size {
		t.Fatalf("adopted %v, %v", got, err)
	}
	if found, ok := s.Find("step", epoch); !ok || found.digest != made.digest {
		t.Errorf("found %v, %v", found, ok)
	}
	if Name("step", epoch) == Name("step", time.Unix(1, 0)) || len(Name("step", epoch)) != 64 {
		t.Error("the name does not tell epochs apart")
	}

	other := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	for name, liar := range map[string]told{
		"another digest":  {digest: other, diffID: made.diffID, content: content},
		"another diff ID": {digest: made.digest, diffID: other, content: content},
		"cut short":       {digest: made.digest, diffID: made.diffID, content: content[:len(content)/2]},
		"longer":          {digest: made.digest, diffID: made.diffID, content: append(bytes.Clone(content), 'x')},
		"no gzip":         {digest: made.digest, diffID: made.diffID, content: []byte("nothing")},
		"unreadable":      {digest: made.digest, diffID: made.diffID, content: content, err: io.ErrUnexpectedEOF},
	} {
		s := open(t)
		if _, err := s.Adopt("step", epoch, liar); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, ok := s.Find("step", epoch); ok {
			t.Errorf("%s: it is found afterwards", name)
		}
		if left, _ := os.ReadDir(s.blobs()); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}
