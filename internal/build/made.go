package build

import (
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/image/layout"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// made is the folder with one file for each image that was built on this machine.
func made(cacheDir string) string { return filepath.Join(cacheDir, "made") }

func madeFile(cacheDir string, digest v1.Hash) string {
	return filepath.Join(made(cacheDir), digest.Hex)
}

// RecordImage records that this machine has built the image.
func RecordImage(cacheDir string, digest v1.Hash) error {
	return sealed.Write(madeFile(cacheDir, digest), nil)
}

// ImageBuiltHere reports whether this machine has built the image, in the last two
// weeks or so. A layout proves nothing about that: it may have come with a clone.
func ImageBuiltHere(cacheDir string, digest v1.Hash) bool {
	_, err := sealed.Read(madeFile(cacheDir, digest))
	return err == nil
}

// RecordLayout records that what lies in the project's folder dir is what SaveLayout has left
// there: the image, its documents, and the tag that it is meant for.
func RecordLayout(cacheDir, dir string) error {
	index, err := leftIndex(dir)
	if err != nil {
		return err
	}
	return RecordImage(cacheDir, index)
}

// LayoutSavedHere reports whether SaveLayout, on this machine, has left what lies in the
// project's folder dir. What came with a clone may name the right image and say
// what it likes about it, or send it wherever it likes.
func LayoutSavedHere(cacheDir, dir string) bool {
	index, err := leftIndex(dir)
	return err == nil && ImageBuiltHere(cacheDir, index)
}

// leftIndex is the digest of the layout's index. All else in a layout goes by the
// digests in there.
func leftIndex(dir string) (v1.Hash, error) {
	root, err := openLayoutRoot(dir)
	if err != nil {
		return v1.Hash{}, err
	}
	defer root.Close()
	raw, err := regular.ReadFileIn(root, layout.IndexFile)
	return v1.Hash{Algorithm: "sha256", Hex: hexDigest(raw)}, err
}
