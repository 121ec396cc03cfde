package dockerfile

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// command applies the rules that need one instruction and the stage so far.
func (l *lint) command(s *stage, cmd instructions.Command, where []parser.Range) {
	switch c := cmd.(type) {
	case *instructions.EnvCommand:
		l.oldForm(c.Env, c.Name(), where)
		for _, kv := range c.Env {
			l.secret("ENV", kv.Key, where)
		}
	case *instructions.LabelCommand:
		l.oldForm(c.Labels, c.Name(), where)
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			l.secret("ARG", arg.Key, where)
		}
	case *instructions.WorkdirCommand:
		if !s.hasWorkdir && !path.IsAbs(c.Path) {
			l.Run(&linter.RuleWorkdirRelativePath, where, linter.RuleWorkdirRelativePath.Format(c.Path))
		}
		s.hasWorkdir = true
	}
}

// oldForm warns of NAME VALUE without the equals sign.
func (l *lint) oldForm(pairs instructions.KeyValuePairs, instruction string, where []parser.Range) {
	if slices.ContainsFunc(pairs, func(kv instructions.KeyValuePair) bool { return kv.NoDelim }) {
		l.Run(&linter.RuleLegacyKeyValueFormat, where, linter.RuleLegacyKeyValueFormat.Format(instruction))
	}
}

// secret warns of a variable whose name says that its value is in the image and should
// not be.
func (l *lint) secret(instruction, name string, where []parser.Range) {
	means := func(words ...string) bool {
		return slices.ContainsFunc(strings.Split(strings.ToLower(name), "_"), func(w string) bool { return slices.Contains(words, w) })
	}
	if means("apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token") && !means("public", "file", "version") {
		l.Run(&linter.RuleSecretsUsedInArgOrEnv, where, linter.RuleSecretsUsedInArgOrEnv.Format(instruction, name))
	}
}

// platform warns of a --platform that says nothing, or the same for everybody.
func (l *lint) platform(p *plan, s instructions.Stage) {
	if s.Platform == "" {
		return
	}
	result, err := shell.NewLex(p.escape).ProcessWordWithMatches(s.Platform, variables(p.global))
	if err != nil {
		return
	}
	switch _, target := result.Matched["TARGETPLATFORM"]; {
	case target && len(result.Matched) == 1 && len(result.Unmatched) == 0 && result.Result == p.global["TARGETPLATFORM"]:
		l.Run(&linter.RuleRedundantTargetPlatform, s.Location, linter.RuleRedundantTargetPlatform.Format(s.Platform))
	case len(result.Matched)+len(result.Unmatched) == 0:
		// The name of a stage such as "amd64" says that it is meant.
		constant, err := parsePlatform(result.Result)
		if err == nil && !strings.Contains(s.Name, constant.OS) && !strings.Contains(s.Name, constant.Architecture) {
			l.Run(&linter.RuleFromPlatformFlagConstDisallowed, s.Location, linter.RuleFromPlatformFlagConstDisallowed.Format(result.Result))
		}
	}
}

// continuations hands on the parser's own warnings of empty lines in an instruction.
func (l *lint) continuations(warnings []parser.Warning) {
	for _, w := range warnings {
		if w.URL == linter.RuleNoEmptyContinuation.URL && w.Location != nil {
			l.Run(&linter.RuleNoEmptyContinuation, []parser.Range{*w.Location}, linter.RuleNoEmptyContinuation.Format())
		}
	}
}
