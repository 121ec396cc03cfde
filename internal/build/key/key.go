// Package key makes one digest of everything that a build depends on. It is made
// of contents only, never of absolute paths or time stamps, so that the same
// project has the same key on every machine.
package key

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// format changes whenever the meaning of a part or the way they are hashed does.
const format = "kn-lite key 1"

// Part is one thing that a build depends on.
type Part struct {
	Name string `json:"name"` // "toolchain", "files of ."
	// Value is the thing itself where it is short and no secret, else a digest.
	Value string `json:"value"`
	// Files is what Value was made of, for a part that is a folder: path → what
	// stands there.
	Files map[string]string `json:"files,omitempty"`
}

// Key is all parts, in the order in which they were added.
type Key struct {
	Parts []Part `json:"parts"`
}

// Add appends a part whose value may be shown.
func (k *Key) Add(name, value string) {
	k.Parts = append(k.Parts, Part{Name: name, Value: value})
}

// AddDigest appends a part of which only a digest is kept.
func (k *Key) AddDigest(name string, content ...string) {
	k.Add(name, "sha256:"+digest(content))
}

// AddFiles appends a part that is a tree of files: path → description.
func (k *Key) AddFiles(name string, files map[string]string) {
	var list []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		list = append(list, path, files[path])
	}
	k.Parts = append(k.Parts, Part{Name: name, Value: "sha256:" + digest(list), Files: files})
}

// digest is over list without ambiguity: every element goes in with its length.
func digest(list []string) string {
	h := sha256.New()
	for _, text := range list {
		fmt.Fprintf(h, "%d:%s,", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// String is the key: 64 hexadecimal digits.
func (k *Key) String() string {
	list := []string{format}
	for _, p := range k.Parts {
		list = append(list, p.Name, p.Value)
	}
	return digest(list)
}

// Change is a part that is not the same in two keys.
type Change struct {
	Part          string   `json:"part"`
	Before, After string   `json:"-"`
	Files         []string `json:"files,omitempty"` // such as "changed handle.go", sorted by path
}

// Changes says what turns before into after, in the order of after's parts.
func Changes(before, after *Key) []Change {
	old := map[string]Part{}
	for _, p := range before.Parts {
		old[p.Name] = p
	}
	var out []Change
	for _, p := range after.Parts {
		was, known := old[p.Name]
		delete(old, p.Name)
		if known && was.Value == p.Value {
			continue
		}
		change := Change{Part: p.Name, Before: was.Value, After: p.Value}
		if known {
			change.Files = fileChanges(was.Files, p.Files)
		}
		out = append(out, change)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		out = append(out, Change{Part: name, Before: old[name].Value})
	}
	return out
}

func fileChanges(before, after map[string]string) []string {
	type line struct{ path, text string }
	var lines []line
	for path, now := range after {
		was, known := before[path]
		switch {
		case !known:
			lines = append(lines, line{path, "added " + path})
		case was != now:
			lines = append(lines, line{path, "changed " + path})
		}
	}
	for path := range before {
		if _, still := after[path]; !still {
			lines = append(lines, line{path, "removed " + path})
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.text, b.text)) })
	var out []string
	for _, l := range lines {
		out = append(out, l.text)
	}
	return out
}
