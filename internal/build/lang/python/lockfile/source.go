package lockfile

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// pypi reports whether an index is Python's own, which the settings of pip may
// replace by a mirror.
func pypi(index string) bool {
	index = strings.TrimSuffix(index, "/")
	return index == "" || index == "https://pypi.org/simple" || index == "https://pypi.python.org/simple"
}

// fromIndex sets where a package of an index comes from.
func (n *node) fromIndex(index string) {
	if !pypi(index) {
		n.Index = index
	}
}

// fromFolder makes the package a folder of the project, relative to it.
func (n *node) fromFolder(folder string) {
	folder = path.Clean(strings.ReplaceAll(folder, `\`, "/"))
	if !inside(folder) {
		n.refuse = fmt.Sprintf("is the folder %s, which is outside of the project", folder)
		return
	}
	n.folder = folder
}

// fromFile makes the package one file: of the project, or behind an address.
func (n *node) fromFile(at string) {
	name := at
	address, err := url.Parse(at)
	remote := err == nil && len(address.Scheme) > 1
	if remote {
		name = address.Path
	} else if at = path.Clean(strings.ReplaceAll(at, `\`, "/")); !inside(at) {
		n.refuse = fmt.Sprintf("is the file %s, which is outside of the project", at)
		return
	}
	if !strings.HasSuffix(name, ".whl") {
		n.refuse = fmt.Sprintf("is the archive %s, and only wheels are installed", Redact(at))
		return
	}
	n.Archive = at
}

func (n *node) fromRepository(kind, address string) {
	n.refuse = fmt.Sprintf("comes from the repository %s (%s), which holds no wheel", Redact(address), kind)
}

func inside(name string) bool {
	return !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../") && !strings.Contains(name, ":")
}

// Redact returns an address without a user's name and password, for messages
// and keys.
func Redact(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		authority = authority[i+1:]
	}
	return scheme + "://" + authority + tail
}

// fromFolderOfWheels sets a folder of the project as the place of a package's wheels.
func (n *node) fromFolderOfWheels(folder string) {
	folder = path.Clean(strings.ReplaceAll(folder, `\`, "/"))
	if !inside(folder) {
		n.refuse = fmt.Sprintf("comes from the folder %s, which is outside of the project", folder)
		return
	}
	n.Links = folder
}

func isAddress(text string) bool { return strings.Contains(text, "://") }
