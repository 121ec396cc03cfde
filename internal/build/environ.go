package build

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

// chooseEnviron gives the language's tools the variables that they may see, and
// those that func.yaml names over them.
func (b *builder) chooseEnviron() {
	b.project.Environ = b.spec.Environ // where a language looks for its settings
	if reader, ok := b.language.(lang.VariableReader); ok {
		b.variables = reader.Variables(b.project)
	}
	seen, withheld := b.variables.Select(b.spec.Environ)
	b.project.Environ = lang.With(seen, b.spec.BuildEnv...)
	b.withheld = slices.DeleteFunc(withheld, b.named)
}

// named reports whether func.yaml gives the build a variable.
func (b *builder) named(variable string) bool {
	return slices.ContainsFunc(b.spec.BuildEnv, func(kv string) bool { return strings.HasPrefix(kv, variable+"=") })
}

// Bounds of the search for withheld variables in a project's files.
const (
	maxSearchedFile = 256 << 10
	maxSearched     = 32 << 20
)

// NoteWithheld says which variables of this machine the project's code asks for
// and the build does not see. It says nothing where no code of the project runs.
func (p *Prepared) NoteWithheld(ctx context.Context) {
	b := p.builder
	if !b.variables.RunsCode || len(b.withheld) == 0 {
		return
	}
	names := b.requestedVariables(ctx)
	if len(names) == 0 {
		return
	}
	slices.Sort(names)
	named := strings.Join(names[:min(len(names), 5)], ", ")
	if len(names) > 5 {
		named += fmt.Sprintf(" and %d more", len(names)-5)
	}
	b.spec.Progress.Note(fmt.Sprintf("the build does not see this machine's %s, which the code asks for; where a build needs it, name it in func.yaml under build.buildEnvs", named))
}

// askedFor are the variables that code asks for, in the ways of the languages
// here and of what they are configured with.
func askedFor(code []byte) []string {
	var out []string
	one := regexp.MustCompile(`(?:(?:\b|_)env!?\s*\(\s*["']|\benv(?:iron)?\s*\[\s*["']|\benv\.|\bgetenv\s*\(\s*["']|\bvar(?:_os)?\s*\(\s*"|rerun-if-env-changed=|environ\.get\(\s*["']|\benvironmentVariable\(\s*["'])([A-Za-z_][A-Za-z0-9_]*)`)
	for _, match := range one.FindAllSubmatch(code, -1) {
		out = append(out, string(match[1]))
	}
	several := regexp.MustCompile(`\{([^{}]*)\}\s*=\s*(?:process|import\.meta)\.env\b`)
	for _, match := range several.FindAllSubmatch(code, -1) {
		for name := range strings.SplitSeq(string(match[1]), ",") {
			name, _, _ = strings.Cut(name, "=")
			name, _, _ = strings.Cut(name, ":")
			out = append(out, strings.TrimSpace(name))
		}
	}
	return out
}

// requestedVariables returns the withheld variables that a file of the project asks for.
func (b *builder) requestedVariables(ctx context.Context) []string {
	var found []string
	budget := int64(maxSearched)
	// What cannot be read is the build's to complain about.
	_ = fs.WalkDir(b.project.Source.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil || budget <= 0 {
			return fs.SkipAll
		}
		if entry.IsDir() {
			switch path.Base(name) {
			case "node_modules", "target", "build", "dist", ".git", stateFolder:
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil || !entry.Type().IsRegular() || info.Size() > maxSearchedFile {
			return nil
		}
		budget -= info.Size()
		for _, variable := range askedFor(b.contentOf(name)) {
			if slices.Contains(b.withheld, variable) && !slices.Contains(found, variable) {
				found = append(found, variable)
			}
		}
		return nil
	})
	return found
}

func (b *builder) contentOf(name string) []byte {
	f, err := b.project.Source.FS().Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSearchedFile))
	if err != nil || strings.ContainsRune(string(raw[:min(len(raw), 512)]), 0) {
		return nil // not text
	}
	return raw
}
