package dockerfile

import (
	"errors"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/kn-lite/kn-lite/internal/build/source"
)

// Summary is what a Dockerfile says of its image.
type Summary struct {
	Base    string   // the last stage's image, through the stages that it is made of; "scratch" for none
	Stages  int      // up to the last one
	Command []string // ENTRYPOINT and CMD; nil when they are the base's
}

// Look reads the Dockerfile of a folder, and nothing is run or fetched. An error
// is what a build would say before it runs anything.
func Look(spec Spec) (summary *Summary, err error) {
	b := &builder{Spec: spec}
	if b.tree, err = source.Open(spec.Dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.tree.Close()) }()
	raw, err := b.readFile()
	if err != nil {
		return nil, err
	}
	if b.plan, err = b.parse(raw); err != nil {
		return nil, err
	}
	out := &Summary{Stages: b.plan.target + 1}
	var entrypoint, command []string
	for i := b.plan.target; ; {
		stage := b.plan.stages[i]
		for _, cmd := range slices.Backward(stage.Commands) { // the last one counts
			switch c := cmd.(type) {
			case *instructions.EntrypointCommand:
				if entrypoint == nil {
					entrypoint = words(c.ShellDependantCmdLine)
				}
			case *instructions.CmdCommand:
				if command == nil {
					command = words(c.ShellDependantCmdLine)
				}
			}
		}
		if entrypoint != nil && command == nil {
			command = []string{} // a base's CMD was meant for the base's ENTRYPOINT
		}
		if out.Base, err = b.plan.expand(stage.BaseName, b.plan.global); err != nil {
			return nil, b.at(stage.Location, "FROM %s: %w", stage.BaseName, err)
		}
		next, isStage := findStage(b.plan.stages[:i], out.Base)
		if !isStage {
			break
		}
		i = next
	}
	out.Command = append(entrypoint, command...)
	return out, nil
}

// words are a command as it would run.
func words(line instructions.ShellDependantCmdLine) []string {
	if line.PrependShell {
		return []string{"/bin/sh", "-c", strings.Join(line.CmdLine, " ")}
	}
	return line.CmdLine
}
