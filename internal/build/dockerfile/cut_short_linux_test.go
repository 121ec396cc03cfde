package dockerfile

import (
	"archive/tar"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// A step that was cut short, by Ctrl-C for example, leaves no layer that the next
// build takes for its own: not an empty one either, and none that ends between two
// files.
func TestLayersThatAreCutShort(t *testing.T) {
	store, err := layer.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{Spec: Spec{Store: store, Epoch: time.Unix(0, 0)}}
	boom := errors.New("boom")
	for name, write := range map[string]func(io.Writer) error{
		"nothing": func(io.Writer) error { return boom },
		"one file": func(w io.Writer) error {
			tw := tar.NewWriter(w)
			return errors.Join(tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755}), tw.Flush(), boom)
		},
		"all and then an error": func(w io.Writer) error {
			tw := tar.NewWriter(w)
			return errors.Join(tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755}), tw.Close(), boom)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := b.imported(t.Context(), name, write); !errors.Is(err, boom) {
				t.Errorf("err = %v", err)
			}
			if l, ok := store.Find(name, b.Epoch); ok {
				t.Errorf("the store has %v, empty: %v", l, l.Empty())
			}
		})
	}
	whole := func(w io.Writer) error { return tar.NewWriter(w).Close() }
	if _, err := b.imported(t.Context(), "whole", whole); err != nil {
		t.Error(err)
	}
	if l, ok := store.Find("whole", b.Epoch); !ok || !l.Empty() {
		t.Error("an empty layer that is whole is not found")
	}
}
