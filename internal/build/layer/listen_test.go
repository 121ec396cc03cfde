package layer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// heard is what listeners of a store have heard to the end.
type heard map[v1.Hash]string

func (h heard) listen(s *Store) {
	s.Listen(func() []Listener {
		var raw []byte
		return []Listener{
			{
				Read: func(tar io.Reader) (err error) {
					raw, err = io.ReadAll(tar)
					return err
				},
				Keep: func(digest v1.Hash) { h[digest] = string(raw) },
			},
			// Others fail, or read a part only, and nobody is the worse for it.
			{Read: func(io.Reader) error { return errors.New("boom") }, Keep: func(v1.Hash) { panic("it has failed") }},
			{Read: func(io.Reader) error { panic("boom") }, Keep: func(v1.Hash) { panic("it has failed") }},
			{Read: func(tar io.Reader) error { _, err := tar.Read(make([]byte, 1)); return err }, Keep: func(v1.Hash) {}},
		}
	})
}

func TestListenersHearWhatIsMade(t *testing.T) {
	ctx, epoch := context.Background(), time.Unix(0, 0)
	store, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := heard{}
	got.listen(store)
	written, _, err := store.Write(ctx, []File{Bytes("a", 0o644, []byte("content"))}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := WriteTar(ctx, &archive, []File{Bytes("b", 0o644, []byte("other"))}, epoch); err != nil {
		t.Fatal(err)
	}
	imported, _, err := store.Import(ctx, "key", epoch, bytes.NewReader(archive.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Layer{written, imported} {
		content, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(content)
		if err := errors.Join(err, content.Close()); err != nil {
			t.Fatal(err)
		}
		if got[l.digest] != string(want) || len(want) == 0 {
			t.Errorf("%s: heard %d bytes, want %d", l.digest, len(got[l.digest]), len(want))
		}
	}
	if _, _, err := store.Import(ctx, "bad", epoch, strings.NewReader("this is no archive, and it is longer than one block of it"+strings.Repeat(" ", 512))); err == nil {
		t.Error("no error")
	}
	if len(got) != 2 {
		t.Errorf("heard of %d layers, want 2", len(got))
	}
}

func TestListenersHearWhatIsRead(t *testing.T) {
	const text = "pretend that this is a tar"
	good := newRemote(t, gzipped(t, text), text)
	forged := newRemote(t, gzipped(t, text+" of somebody else"), text)
	store, err := Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := heard{}
	got.listen(store)
	if _, err := readBlob(store, forged); err == nil {
		t.Error("no error")
	}
	cut, err := store.Fetch(context.Background(), good)
	if err != nil {
		t.Fatal(err)
	}
	content, err := cut.Uncompressed()
	if err == nil {
		_, err = content.Read(make([]byte, 5))
	}
	if err := errors.Join(err, content.Close(), content.Close()); err != nil && !strings.Contains(err.Error(), "closed") {
		t.Fatal(err)
	}
	if len(got) > 0 {
		t.Errorf("heard %v of layers that were not read to a good end", got)
	}
	if _, err := readBlob(store, good); err != nil {
		t.Fatal(err)
	}
	if got[good.digest] != text {
		t.Errorf("heard %q", got[good.digest])
	}
}
