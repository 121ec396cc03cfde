package contents

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Change is how a path or a setting differs.
type Change string

// The changes from the first image to the second.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
)

// FileChange is a path that is not the same in both images.
type FileChange struct {
	Path   string
	Change Change
	// What differs, for Changed: content, size, mode, type, owner, target, time
	// or attributes, the weightiest first.
	What          []string
	Before, After *Entry // nil where there is none
}

// ConfigChange is a setting that is not the same in both images.
type ConfigChange struct {
	Name          string // such as user, entrypoint, env PATH, label a.b
	Change        Change
	Before, After string
}

// Difference is what two images of one platform do not have in common.
type Difference struct {
	Files  []FileChange // by path
	Config []ConfigChange
	// Packing names what differs although a container would not notice: layers
	// compressed or split another way, history, annotations.
	Packing []string
}

// Same reports whether containers of both images would see the same.
func (d *Difference) Same() bool { return len(d.Files) == 0 && len(d.Config) == 0 }

// First is the first difference in words, "" when there is none.
func (d *Difference) First() string {
	switch {
	case len(d.Files) > 0:
		f := d.Files[0]
		if f.Change == Changed {
			return fmt.Sprintf("/%s (%s)", f.Path, strings.Join(f.What, ", "))
		}
		return fmt.Sprintf("/%s (%s)", f.Path, f.Change)
	case len(d.Config) > 0:
		return fmt.Sprintf("the image's %s (%s)", d.Config[0].Name, d.Config[0].Change)
	case len(d.Packing) > 0:
		return d.Packing[0]
	}
	return ""
}

// Compare says what turns a into b. Both must have been loaded.
func Compare(a, b *Image) *Difference {
	d := &Difference{Config: compareConfig(a, b)}
	if !slices.EqualFunc(a.Layers, b.Layers, func(x, y Layer) bool { return x.DiffID == y.DiffID }) {
		d.Files = compareTrees(a.Tree(), b.Tree())
	}
	if a.Digest != b.Digest {
		d.Packing = comparePacking(a, b)
	}
	return d
}

func compareTrees(a, b map[string]Entry) []FileChange {
	var out []FileChange
	for _, name := range union(a, b) {
		before, inA := a[name]
		after, inB := b[name]
		switch {
		case !inA:
			out = append(out, FileChange{Path: name, Change: Added, After: &after})
		case !inB:
			out = append(out, FileChange{Path: name, Change: Removed, Before: &before})
		default:
			if what := differs(before, after); len(what) > 0 {
				out = append(out, FileChange{Path: name, Change: Changed, What: what, Before: &before, After: &after})
			}
		}
	}
	return out
}

// differs names what is not the same about one path.
func differs(a, b Entry) []string {
	var what []string
	add := func(name string, is bool) {
		if is {
			what = append(what, name)
		}
	}
	add("type", a.Type != b.Type)
	add("content", a.Type == b.Type && a.Digest != b.Digest)
	add("size", a.Type == b.Type && a.Size != b.Size)
	add("target", a.Type == b.Type && a.Target != b.Target)
	add("mode", a.Mode != b.Mode)
	add("owner", a.UID != b.UID || a.GID != b.GID)
	add("time", !a.Modified.Equal(b.Modified))
	add("attributes", !maps.Equal(a.Extended, b.Extended))
	return what
}

func compareConfig(a, b *Image) []ConfigChange {
	before, after := settings(a), settings(b)
	var out []ConfigChange
	for _, name := range union(before, after) {
		x, inA := before[name]
		y, inB := after[name]
		change := ConfigChange{Name: name, Change: Changed, Before: x, After: y}
		switch {
		case !inA:
			change.Change = Added
		case !inB:
			change.Change = Removed
		case x == y:
			continue
		}
		out = append(out, change)
	}
	return out
}

// settings is an image's config as text, one entry for each thing that can be set.
func settings(i *Image) map[string]string {
	c := i.Config
	out := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			out[name] = value
		}
	}
	set("platform", i.Platform.String())
	set("created", i.Created.Format(time.RFC3339))
	set("user", c.User)
	set("entrypoint", Words(c.Entrypoint))
	set("command", Words(c.Cmd))
	set("working folder", c.WorkingDir)
	set("stop signal", c.StopSignal)
	set("shell", Words(c.Shell))
	set("ports", strings.Join(slices.Sorted(maps.Keys(c.ExposedPorts)), " "))
	set("volumes", strings.Join(slices.Sorted(maps.Keys(c.Volumes)), " "))
	if c.Healthcheck != nil {
		set("health check", Words(c.Healthcheck.Test))
	}
	for _, kv := range c.Env {
		name, value, _ := strings.Cut(kv, "=")
		out["env "+name] = value
	}
	for name, value := range c.Labels {
		out["label "+name] = value
	}
	return out
}

// Words is an argument list as one line, quoted where that is needed to tell
// the arguments apart.
func Words(list []string) string {
	out := make([]string, len(list))
	for i, word := range list {
		out[i] = word
		if word == "" || strings.ContainsAny(word, " \t\n\"'\\") {
			out[i] = strconv.Quote(word)
		}
	}
	return strings.Join(out, " ")
}

func comparePacking(a, b *Image) []string {
	var out []string
	if len(a.Layers) != len(b.Layers) {
		out = append(out, fmt.Sprintf("the number of layers: %d and %d", len(a.Layers), len(b.Layers)))
	}
	for i := range min(len(a.Layers), len(b.Layers)) {
		x, y := a.Layers[i], b.Layers[i]
		switch {
		case x.DiffID == y.DiffID && x.Digest != y.Digest:
			out = append(out, fmt.Sprintf("layer %d is compressed in another way", i+1))
		case x.DiffID != y.DiffID:
			out = append(out, fmt.Sprintf("layer %d is another tar", i+1))
		}
		if x.CreatedBy != y.CreatedBy || x.Comment != y.Comment {
			out = append(out, fmt.Sprintf("the history of layer %d", i+1))
		}
	}
	for _, name := range union(a.Annotations, b.Annotations) {
		if a.Annotations[name] != b.Annotations[name] {
			out = append(out, "the annotation "+name)
		}
	}
	if len(out) == 0 {
		out = append(out, "media types or history")
	}
	return out
}

// Pair is the images of one platform in two artifacts; one of them may be nil.
type Pair struct {
	Platform string
	A, B     *Image
}

// Pairs brings together what two artifacts have for each platform, by name.
func Pairs(a, b []*Image) []Pair {
	byPlatform := func(images []*Image) map[string]*Image {
		out := map[string]*Image{}
		for _, i := range images {
			out[platformName(i.Platform)] = i
		}
		return out
	}
	first, second := byPlatform(a), byPlatform(b)
	var out []Pair
	for _, name := range union(first, second) {
		out = append(out, Pair{Platform: name, A: first[name], B: second[name]})
	}
	return out
}

func platformName(p v1.Platform) string {
	if p.OS == "" && p.Architecture == "" {
		return "unknown"
	}
	return p.String()
}

// union is the keys of both, sorted.
func union[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}
