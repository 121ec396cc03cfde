package dockerfile

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// shelf is Steps in memory, and says what it was asked.
type shelf struct {
	mu    sync.Mutex
	kept  map[string]v1.Layer
	asked int
	full  error
}

func (s *shelf) Find(_ context.Context, name string) v1.Layer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.kept[name]
}

func (s *shelf) Keep(_ context.Context, name string, l v1.Layer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full == nil {
		s.kept[name] = l
	}
	return s.full
}

// swapped says of every layer that it is another one.
type swapped struct{ *shelf }

func (s swapped) Find(ctx context.Context, name string) v1.Layer {
	s.shelf.Find(ctx, name)
	for other, l := range s.kept {
		if other != name {
			return damaged{s.kept[name], l}
		}
	}
	return nil
}

// damaged has the digests of one layer and the content of another.
type damaged struct {
	v1.Layer
	content v1.Layer
}

func (d damaged) Compressed() (rc io.ReadCloser, err error) { return d.content.Compressed() }

const stepsDockerfile = "FROM busybox AS first\nCOPY a /\nRUN cat /a && echo made > /b\nFROM busybox\nCOPY --from=first /b /c\nRUN cat /c\n"

// TestStepsOfOtherMachines: what one machine has run, another one with an empty
// cache takes from where it was kept, and gets the same image.
func TestStepsOfOtherMachines(t *testing.T) {
	files := map[string]string{"a": "1\n"}
	shared := &shelf{kept: map[string]v1.Layer{}}
	one := newProject(t, stepsDockerfile, files)
	one.steps = shared
	first := one.must(Options{})
	if one.told.single {
		if len(shared.kept) > 0 {
			t.Error("what one user only has built was handed on")
		}
		return
	}
	// All stages, and the step that has left nothing behind.
	if len(shared.kept) != 4 || shared.asked != 4 {
		t.Errorf("%d steps kept, %d asked for, want 4 and 4", len(shared.kept), shared.asked)
	}

	two := newProject(t, stepsDockerfile, files)
	two.steps = shared
	second := two.must(Options{})
	if len(two.told.raw) > 0 || slices.ContainsFunc(two.told.steps, func(s string) bool { return !strings.Contains(s, "] cached: ") }) {
		t.Errorf("the second machine ran something: %q %q", two.told.steps, two.told.raw)
	}
	same(t, first, second)

	// A layer that is not what it says it is: run again, with a word about it.
	three := newProject(t, stepsDockerfile, files)
	three.steps = swapped{shared}
	same(t, first, three.must(Options{}))
	if len(three.told.raw) == 0 || len(three.told.warnings) == 0 || !strings.Contains(three.told.warnings[0], "a step is run again") {
		t.Errorf("output %q, warnings %q", three.told.raw, three.told.warnings)
	}

	// --no-cache asks nobody.
	before := shared.asked
	two.must(Options{NoCache: true})
	if shared.asked != before || len(two.told.raw) == 0 {
		t.Errorf("asked %d times, output %q", shared.asked-before, two.told.raw)
	}
}

// trusting is Steps that takes nothing of what others have left.
type trusting struct{ *shelf }

func (trusting) Find(context.Context, string) v1.Layer { return nil }

// TestSignedBuildStandsOnNothingForeign: a layer that was taken from another
// machine by an earlier build is not used by one that is signed, nor is anything
// that was built on top of it.
func TestSignedBuildStandsOnNothingForeign(t *testing.T) {
	const text = "FROM busybox\nRUN echo right > /a\n"
	shared := &shelf{kept: map[string]v1.Layer{}}
	one := newProject(t, text, nil)
	one.steps = shared
	right := one.must(Options{})
	if one.told.single {
		return
	}
	wrong := newProject(t, "FROM busybox\nRUN echo wrong > /a\n", nil)
	other := &shelf{kept: map[string]v1.Layer{}}
	wrong.steps = other
	wrong.must(Options{})
	for name := range shared.kept {
		for _, l := range other.kept {
			shared.kept[name] = l // what a stranger puts there
		}
	}
	two := newProject(t, text+"RUN cp /a /b\n", nil)
	two.steps = shared
	two.must(Options{})
	two.signed, two.steps = true, trusting{shared}
	again := two.must(Options{})
	if len(two.told.raw) > 0 && slices.ContainsFunc(two.told.raw, func(s string) bool { return strings.Contains(s, "wrong") }) {
		t.Errorf("output: %q", two.told.raw)
	}
	layers, err := again.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := right.Image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	got, errGot := layers[len(wanted)-1].Digest()
	want, errWant := wanted[len(wanted)-1].Digest()
	if err := errors.Join(errGot, errWant); err != nil || got != want {
		t.Errorf("the signed build has the layer %s, not %s: %v", got, want, err)
	}
}

// TestStepsThatCannotBeKept: a repository that may not be written to costs a
// warning, and one warning only.
func TestStepsThatCannotBeKept(t *testing.T) {
	p := newProject(t, stepsDockerfile, map[string]string{"a": "2\n"})
	p.steps = &shelf{full: errors.New("denied")}
	p.must(Options{})
	if p.told.single {
		return
	}
	if len(p.told.warnings) != 1 || !strings.Contains(p.told.warnings[0], "denied") {
		t.Errorf("warnings: %q", p.told.warnings)
	}
}

// TestStepsOfAFailedBuild: what was good is kept.
func TestStepsOfAFailedBuild(t *testing.T) {
	shared := &shelf{kept: map[string]v1.Layer{}}
	p := newProject(t, "FROM busybox\nRUN echo good > /good\nRUN exit 3\n", nil)
	p.steps = shared
	if _, err := p.build(Options{}); err == nil {
		t.Fatal("no error")
	}
	if !p.told.single && len(shared.kept) != 1 {
		t.Errorf("kept %v", slices.Collect(maps.Keys(shared.kept)))
	}
}

func same(t *testing.T, a, b *Image) {
	t.Helper()
	x, errX := a.Image.Digest()
	y, errY := b.Image.Digest()
	if err := errors.Join(errX, errY); err != nil || x != y {
		t.Errorf("digests %s and %s, %v", x, y, err)
	}
}
