package regular

import (
	"io/fs"
	"os"
)

// FS returns the files below root by slash-separated names. Only folders and
// regular files can be opened; links that lead out of root are errors.
func FS(root *os.Root) fs.FS { return files{root: root, names: root.FS()} }

type files struct {
	root  *os.Root
	names fs.FS
}

var (
	_ fs.ReadFileFS = files{}
	_ fs.ReadDirFS  = files{}
	_ fs.StatFS     = files{}
	_ fs.ReadLinkFS = files{}
)

// Open implements fs.FS.
func (f files) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if info, err := f.root.Stat(name); err == nil && info.IsDir() {
		return f.names.Open(name)
	}
	return OpenIn(f.root, name)
}

// ReadFile implements fs.ReadFileFS.
func (f files) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return ReadFileIn(f.root, name)
}

// ReadDir implements fs.ReadDirFS.
func (f files) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(f.names, name) }

// Stat implements fs.StatFS.
func (f files) Stat(name string) (fs.FileInfo, error) { return fs.Stat(f.names, name) }

// Lstat implements fs.ReadLinkFS.
func (f files) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(f.names, name) }

// ReadLink implements fs.ReadLinkFS.
func (f files) ReadLink(name string) (string, error) { return fs.ReadLink(f.names, name) }
