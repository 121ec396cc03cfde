package dockerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// lint collects the warnings of docker build, by its own rules and in its own words
// (https://docs.docker.com/reference/build-checks/). "# check=" at the top of a
// Dockerfile skips rules or makes errors of them.
type lint struct {
	*linter.Linter
	file     string
	warnings []string
	seen     map[string]bool
}

func newLint(file string, raw []byte) (*lint, error) {
	config := &linter.Config{}
	if text, _, _, ok := parser.ParseDirective("check", raw); ok {
		var err error
		if config, err = linter.ParseLintOptions(text); err != nil {
			return nil, fault.New(fault.Build, "dockerfile.parse", file, "# check=%s: %w", text, err)
		}
	}
	l := &lint{file: file, seen: map[string]bool{}}
	config.Warn = func(rule, _, _, text string, where []parser.Range) {
		warning := fmt.Sprintf("%s:%d: %s: %s", file, lineOf(where), rule, text)
		if !l.seen[warning] {
			l.seen[warning] = true
			l.warnings = append(l.warnings, warning)
		}
	}
	l.Linter = linter.New(config)
	return l, nil
}

// show reports the warnings that have come up since the last time, and the error that
// "error=true" makes of them.
func (l *lint) show(report progress.Reporter) error {
	for _, w := range l.warnings {
		report.Warn(w)
	}
	l.warnings = nil
	if err := l.Error(); err != nil {
		return fault.New(fault.Build, "dockerfile.parse", l.file, "%w", err)
	}
	return nil
}

// stages applies the rules that need more than one instruction.
func (l *lint) stages(p *plan) {
	first := map[string]bool{}
	for _, s := range p.stages {
		name := strings.ToLower(s.Name)
		if name == "context" || name == "scratch" {
			l.Run(&linter.RuleReservedStageName, s.Location, linter.RuleReservedStageName.Format(s.Name))
		}
		if name != "" && first[name] {
			l.Run(&linter.RuleDuplicateStageName, s.Location, linter.RuleDuplicateStageName.Format(s.Name))
		} else {
			first[name] = true
		}
		l.base(p, s)
		l.platform(p, s)
		last := map[string]instructions.Command{}
		for _, cmd := range s.Commands {
			var line instructions.ShellDependantCmdLine
			switch c := cmd.(type) {
			case *instructions.CmdCommand:
				line = c.ShellDependantCmdLine
			case *instructions.EntrypointCommand:
				line = c.ShellDependantCmdLine
			case *instructions.HealthCheckCommand:
			default:
				continue
			}
			word := strings.ToUpper(cmd.Name())
			if line.PrependShell && !hasShell(s.Commands) {
				l.Run(&linter.RuleJSONArgsRecommended, cmd.Location(), linter.RuleJSONArgsRecommended.Format(word))
			}
			if before := last[word]; before != nil {
				l.Run(&linter.RuleMultipleInstructionsDisallowed, before.Location(), linter.RuleMultipleInstructionsDisallowed.Format(word))
			}
			last[word] = cmd
		}
	}
}

// hasShell reports whether a stage names its shell: then the shell form is meant.
func hasShell(commands []instructions.Command) bool {
	return slices.ContainsFunc(commands, func(c instructions.Command) bool {
		_, is := c.(*instructions.ShellCommand)
		return is
	})
}

func (l *lint) base(p *plan, s instructions.Stage) {
	result, err := shell.NewLex(p.escape).ProcessWordWithMatches(s.BaseName, variables(p.global))
	if err != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(result.Unmatched)) {
		l.Run(&linter.RuleUndefinedArgInFrom, s.Location, linter.RuleUndefinedArgInFrom.Format(name, fault.Nearest(name, variables(p.global).Keys())))
	}
}

// undefined is for a variable that an instruction uses and nobody has defined.
func (l *lint) undefined(names map[string]struct{}, env map[string]string, where []parser.Range) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		l.Run(&linter.RuleUndefinedVar, where, linter.RuleUndefinedVar.Format(name, fault.Nearest(name, variables(env).Keys())))
	}
}

// casing warns of instructions that are not written as most of the file's are.
func (l *lint) casing(nodes []*parser.Node) {
	upper := 0
	for _, n := range nodes {
		if n.Value == strings.ToUpper(n.Value) {
			upper++
		} else {
			upper--
		}
	}
	word, as := "uppercase", strings.ToUpper
	if upper < 0 {
		word, as = "lowercase", strings.ToLower
	}
	for _, n := range nodes {
		if n.Value != as(n.Value) {
			l.Run(&linter.RuleConsistentInstructionCasing, n.Location(), linter.RuleConsistentInstructionCasing.Format(n.Value, word))
		}
	}
}
