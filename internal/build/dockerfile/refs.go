package dockerfile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// needed returns the stages that the target is made from, itself among them. What
// stands in the others is not looked at: docker build passes over them too.
func (p *plan) needed() map[int]bool {
	out := map[int]bool{}
	var add func(i int)
	refer := func(current int, ref string) {
		if i, ok := p.above(current, ref); ok {
			add(i)
		}
	}
	add = func(i int) {
		if out[i] {
			return
		}
		out[i] = true
		if base, err := p.expand(p.stages[i].BaseName, p.global); err == nil {
			if at, ok := findStage(p.stages[:i], base); ok {
				add(at)
			}
		}
		for _, cmd := range p.stages[i].Commands {
			switch c := cmd.(type) {
			case *instructions.CopyCommand:
				refer(i, c.From)
			case *instructions.RunCommand:
				// The mounts are read when they are expanded; what is wrong with them is told by check.
				// from= has no variables, and is there also when others have no value yet.
				_ = c.Expand(func(word string) (string, error) { return word, nil })
				for _, m := range instructions.GetMounts(c) {
					refer(i, m.From)
				}
			}
		}
	}
	add(p.target)
	return out
}

// findStage returns the index of a stage by its name. Of two with one name the later
// counts, as with docker build, which warns of them.
func findStage(stages []instructions.Stage, name string) (int, bool) {
	for i, s := range slices.Backward(stages) {
		if strings.EqualFold(s.Name, name) && name != "" {
			return i, true
		}
	}
	return 0, false
}

// above returns the stage that --from names: by its name or by its number.
func (p *plan) above(current int, ref string) (int, bool) {
	if ref == "" {
		return 0, false
	}
	if i, ok := findStage(p.stages[:current], ref); ok {
		return i, true
	}
	i, err := strconv.Atoi(ref)
	return i, err == nil && i >= 0 && i < current
}

// checkBase refuses a FROM whose variables leave no name.
func (p *plan) checkBase(b *builder, stage instructions.Stage) error {
	result, err := shell.NewLex(p.escape).ProcessWordWithMatches(stage.BaseName, variables(p.global))
	if err != nil {
		return b.at(stage.Location, "FROM %s: %w", stage.BaseName, err)
	}
	if len(result.Unmatched) == 0 {
		return nil
	}
	if _, err := name.ParseReference(result.Result, name.WeakValidation); err == nil {
		return nil
	}
	unset := slices.Sorted(maps.Keys(result.Unmatched))[0]
	return b.at(stage.Location, "FROM %s: the variable %s has no value", stage.BaseName, unset).
		WithHint("give it one with {Dockerfile.Args} %s=VALUE, or a default with ARG %s=VALUE before the first FROM", unset, unset)
}

// suggestStage explains an image that cannot be had when its name is almost that of
// a stage, or that of a stage further down.
func (b *builder) suggestStage(current int, ref string, err error) error {
	if err == nil || fault.KindOf(err) == fault.Timeout || strings.ContainsAny(ref, "/:@.") {
		return err
	}
	stages := b.plan.stages
	if i, ok := findStage(stages, ref); ok && i > current {
		return b.at(stages[current].Location, "no image %q can be had, and the stage of that name is defined below, in line %d: %w", ref, stages[i].Location[0].Start.Line, err).
			WithHint("a stage can only use those above it: move it up")
	}
	var names []string
	for _, s := range stages[:current] {
		names = append(names, s.Name)
	}
	near := fault.Nearest(strings.ToLower(ref), names)
	if near == "" {
		return err
	}
	i, _ := findStage(stages, near)
	return b.at(stages[current].Location, "there is no stage %q above, and no image of that name can be had: %w", ref, err).
		WithHint("did you mean the stage %q of line %d?", near, stages[i].Location[0].Start.Line)
}
