package image

import (
	"context"
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image/contents"
)

// Read reads all layers of the images. Those that known has already are not read
// again, and others are added to it.
func (i *Images) Read(ctx context.Context, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error) {
	var out []*contents.Image
	for _, image := range i.Images {
		loaded, err := contents.Load(ctx, image, known)
		if err != nil {
			if _, ok := errors.AsType[*fault.Error](err); !ok {
				err = &fault.Error{Op: "image.read", Kind: fault.KindOf(err), Subject: i.Name, Err: err}
			}
			return nil, err
		}
		out = append(out, loaded)
	}
	return out, nil
}

// Difference is what two artifacts do not have in common.
type Difference struct {
	Same      bool   // nothing that a container would notice differs
	First     string // the first difference in words
	Platforms []PlatformDifference
}

// PlatformDifference is what the images of one platform do not have in common.
type PlatformDifference struct {
	Platform string
	OnlyA    bool // B has no image for the platform
	OnlyB    bool
	contents.Difference
}

// Diff reads both artifacts and compares them as containers would see them. read reads
// one of them; Images.Read does.
func Diff(a, b *Images, read func(i *Images, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error)) (*Difference, error) {
	out := &Difference{Same: true}
	if a.Digest == b.Digest { // no need to look into the layers
		return out, nil
	}
	known := map[v1.Hash][]contents.Entry{}
	inA, err := read(a, known)
	if err != nil {
		return nil, err
	}
	inB, err := read(b, known)
	if err != nil {
		return nil, err
	}
	pairs := contents.Pairs(inA, inB)
	for _, pair := range pairs {
		diff, first := comparePair(pair)
		same := !diff.OnlyA && !diff.OnlyB && diff.Same()
		if len(pairs) > 1 && !diff.OnlyA && !diff.OnlyB {
			first += " for " + pair.Platform
		}
		if !same && out.First == "" {
			out.First = first
		}
		out.Same = out.Same && same
		out.Platforms = append(out.Platforms, diff)
	}
	return out, nil
}

func comparePair(pair contents.Pair) (diff PlatformDifference, first string) {
	diff = PlatformDifference{Platform: pair.Platform, OnlyA: pair.B == nil, OnlyB: pair.A == nil}
	if diff.OnlyA || diff.OnlyB {
		return diff, "the platforms: " + pair.Platform + " is in one of them only"
	}
	diff.Difference = *contents.Compare(pair.A, pair.B)
	return diff, diff.Difference.First()
}
