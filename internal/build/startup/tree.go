package startup

import (
	"path"
	"strings"
)

// tree is the files of an image: its layers, the lowest first.
type tree struct {
	layers []map[string]entry
}

// lstat returns the entry at a path whose folders are no links.
func (t *tree) lstat(name string) (entry, bool) {
	if name == "" || name == "." {
		return entry{Dir: true}, true
	}
	implied := false
	for i := len(t.layers) - 1; i >= 0; i-- {
		e, ok := t.layers[i][name]
		if ok && !e.Implied {
			return e, !e.Gone || implied
		}
		implied = implied || ok
		for above := name; above != ""; {
			above = strings.TrimSuffix(path.Dir(above), ".")
			if e, ok := t.layers[i][above]; ok && (e.Gone || e.Only || !e.Dir) {
				return entry{Dir: implied}, implied
			}
		}
	}
	return entry{Dir: implied}, implied
}

// maxLinks is how many links lead to a file, as in Linux.
const maxLinks = 40

// stat follows links, and returns where the file really is.
func (t *tree) stat(name string) (real string, e entry, ok bool) {
	rest := strings.Split(clean(name), "/")
	at := ""
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = strings.TrimSuffix(path.Dir(at), ".")
			continue
		}
		next := path.Join(at, part)
		e, ok := t.lstat(next)
		if !ok {
			return "", entry{}, false
		}
		if e.Link == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", entry{}, false
		}
		if path.IsAbs(e.Link) {
			at = ""
		}
		rest = append(strings.Split(e.Link, "/"), rest...)
	}
	e, ok = t.lstat(at)
	if ok && e.Same != "" {
		e, ok = t.lstat(e.Same)
	}
	return at, e, ok
}
