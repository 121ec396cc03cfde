package build

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image/layout"
)

// WriteLayout writes the image with all its layers as an OCI image layout into
// dir, which must be empty, not exist, or be an earlier layout: that one is
// replaced when the new one is complete. tag, if any, is recorded.
func (r *Result) WriteLayout(dir, tag string) (err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fault.Error{Op: "build.write", Kind: fault.Usage, Subject: dir, Err: err}
	}
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err != nil && len(entries) > 0 {
		return fault.New(fault.Usage, "build.write", dir, "the folder is not empty, and not an OCI layout that could be replaced").
			WithHint("name another folder: {Outputs} oci:DIR")
	}
	defer describeWrite(&err, dir)
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	parent, err := os.OpenRoot(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parent.Close()) }()
	return r.replaceLayout(parent, filepath.Base(dir), tag, func(PlatformBuild, v1.Hash) bool { return true })
}

// describeWrite makes an error of writing to file one of the project's type.
func describeWrite(err *error, file string) {
	if _, ok := errors.AsType[*fault.Error](*err); *err != nil && !ok {
		*err = &fault.Error{Op: "build.write", Subject: file, Err: *err}
	}
}

// replaceLayout writes the blobs that want selects into a new folder below parent
// and then gives it the name that a former layout may have.
func (r *Result) replaceLayout(parent *os.Root, name, tag string, want func(PlatformBuild, v1.Hash) bool) (err error) {
	temp, err := makeTemp(parent)
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := parent.RemoveAll(temp); err == nil {
			err = removeErr
		}
	}()
	made := path.Join(temp, "new")
	if err := r.fillLayout(layout.Writer{Root: parent, Dir: made}, tag, want); err != nil {
		return err
	}
	if err := parent.Rename(name, path.Join(temp, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return parent.Rename(made, name)
}

func (r *Result) fillLayout(w layout.Writer, tag string, want func(PlatformBuild, v1.Hash) bool) error {
	if err := w.Start(); err != nil {
		return err
	}
	for _, built := range r.Builds {
		if err := w.Image(built.Image, func(h v1.Hash) bool { return want(built, h) }); err != nil {
			return err
		}
	}
	top, err := r.descriptor()
	if err != nil {
		return err
	}
	if r.Index != nil {
		raw, err := r.Index.RawManifest()
		if err != nil {
			return err
		}
		if err := w.Bytes(top.Digest, raw); err != nil {
			return err
		}
	}
	if tag != "" {
		top.Annotations = map[string]string{layout.AnnotationRefName: tag}
	}
	all := []v1.Descriptor{*top}
	for _, a := range r.Attached {
		d, err := w.Artifact(a)
		if err != nil {
			return err
		}
		all = append(all, *d)
	}
	return w.Finish(all)
}

// descriptor points at the image or the index.
func (r *Result) descriptor() (*v1.Descriptor, error) {
	var described interface {
		RawManifest() ([]byte, error)
	} = r.Index
	mediaType := types.OCIImageIndex
	var platform *v1.Platform
	if r.Index == nil {
		described, mediaType, platform = r.Image, types.OCIManifestSchema1, &r.Builds[0].Platform
	}
	raw, err := described.RawManifest()
	if err != nil {
		return nil, err
	}
	return &v1.Descriptor{MediaType: mediaType, Digest: r.Digest, Size: int64(len(raw)), Platform: platform}, nil
}

// WriteTarball writes the image as a file that `docker load` and `podman load`
// take, under tag. Such files hold one platform.
func (r *Result) WriteTarball(file, tag string) (err error) {
	if r.Index != nil {
		return fault.Usagef("a tar file holds the image of one platform, and there are %d", len(r.Builds)).
			WithHint("use {Outputs} oci:DIR, or name one {Platforms}")
	}
	ref, err := name.ParseReference(tag, name.WeakValidation)
	if err != nil {
		return fault.Usagef("image name %q: %w", tag, err)
	}
	if folder, err := os.OpenRoot(filepath.Dir(file)); err == nil {
		sweep(folder, time.Now())
		_ = folder.Close() // nothing was written through it
	}
	err = atomicfile.WriteTo(file, atomicfile.Options{Mode: 0o644, Disposable: true, Given: true}, func(f *os.File) error { return tarball.Write(ref, r.Image, f) })
	if err != nil {
		return &fault.Error{Op: "build.write", Kind: fault.KindOf(err), Subject: file, Err: err}
	}
	return nil
}
