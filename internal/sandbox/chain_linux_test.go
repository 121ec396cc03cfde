package sandbox

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// chainGuests are a guest that changes a root, and one that lists what is where.
func chainGuests() map[string]Guest {
	return map[string]Guest{
		"change": func(json.RawMessage, io.Reader, io.Writer) (any, error) {
			return nil, os.WriteFile("/new", nil, 0o644)
		},
		"list": func(json.RawMessage, io.Reader, io.Writer) (any, error) {
			var found []string
			for _, pattern := range []string{"/*", "/*/*", "../*"} {
				names, err := filepath.Glob(pattern)
				if err != nil {
					return nil, err
				}
				found = append(found, names...)
			}
			return found, nil
		},
	}
}

// A second guest sees the parts of the overlay that the first one has changed, and
// nothing else; of the host neither sees anything.
func TestSecondGuestSeesThePartsOfTheOverlay(t *testing.T) {
	box := openBox(t)
	if !box.Overlays() {
		t.Skip("SKIPPED, no overlays here")
	}
	if !box.Chains() {
		t.Fatal("overlays behave, and a second guest does not see their parts")
	}
	dir := newRoot(t, box)
	overlay := &Overlay{Lower: []string{filepath.Join(dir, "lower")}, Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "kernel")}
	for _, at := range []string{overlay.Lower[0], overlay.Upper, overlay.Work} {
		if err := box.Folder(at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(overlay.Lower[0], "old"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := box.Call(t.Context(), Call{Overlay: overlay, Guest: "change", Then: &Then{Guest: "list", Reply: &got}}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/lower", "/upper", "/lower/old", "/upper/new", "../lower", "../upper"}; !slices.Equal(got, want) {
		t.Errorf("the second guest sees %q, want %q", got, want)
	}
	// The first one's failure is the call's, and the second does not run.
	got = nil
	err := box.Call(t.Context(), Call{Overlay: overlay, Guest: "fail", Then: &Then{Guest: "list", Reply: &got}})
	if fault.KindOf(err) != fault.Build || got != nil {
		t.Errorf("%v, and the second guest says %q", err, got)
	}
}
