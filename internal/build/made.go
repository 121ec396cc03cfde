package build

import (
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/key"
)

// made is the folder with one file for each image that was built on this machine.
func made(cacheDir string) string { return filepath.Join(cacheDir, "made") }

func madeFile(cacheDir string, digest v1.Hash) string {
	return filepath.Join(made(cacheDir), digest.Hex)
}

// MarkMade records that this machine has built the image.
func MarkMade(cacheDir string, digest v1.Hash) error {
	return key.WriteFile(madeFile(cacheDir, digest), nil)
}

// MadeHere reports whether this machine has built the image, in the last two
// weeks or so. A layout proves nothing about that: it may have come with a clone.
func MadeHere(cacheDir string, digest v1.Hash) bool {
	info, err := os.Stat(madeFile(cacheDir, digest))
	return err == nil && info.Mode().IsRegular()
}
