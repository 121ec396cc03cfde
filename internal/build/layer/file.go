// Package layer turns files into image layers: one deterministic tar each,
// hashed and compressed in one pass into a store on disk.
package layer

import (
	"bytes"
	"io"
	"io/fs"
)

// File is one entry of a layer. Owner and time stamp are not its business: they
// are the same for the whole layer.
type File struct {
	Path string      // in the image, slash-separated, with no leading slash
	Mode fs.FileMode // type and permission bits: a regular file, a folder or a symlink
	Size int64       // of a regular file
	Link string      // target of a symlink
	// Open gives the content of a regular file. A file that turns out longer or
	// shorter than Size is an error.
	Open func() (io.ReadCloser, error)
	// Sum is the SHA-256 of a regular file's content, in hex, where that is to be had
	// without reading it; nil reads it.
	Sum func() (string, error)
}

// Dir is a folder with permissions perm.
func Dir(path string, perm fs.FileMode) File {
	return File{Path: path, Mode: fs.ModeDir | perm}
}

// Bytes is a regular file with content from memory.
func Bytes(path string, perm fs.FileMode, content []byte) File {
	return File{
		Path: path, Mode: perm, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// Symlink is a link at path to target.
func Symlink(path, target string) File {
	return File{Path: path, Mode: fs.ModeSymlink | 0o777, Link: target}
}
