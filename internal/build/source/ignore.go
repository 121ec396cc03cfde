package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/pattern"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// IgnoreFile is the project's list of files that stay out of the image. Its
// rules are those of a .gitignore, as func has them.
const IgnoreFile = ".funcignore"

// StateFolder is where kn-lite itself leaves build results in a project. It is no
// part of any image, at any depth.
const StateFolder = ".kn-lite"

// UnfinishedPrefix begins the names of what kn-lite is still writing beside its
// place; a build that was killed leaves it there.
const UnfinishedPrefix = atomicfile.TempPrefix

// InState reports whether name is a state folder, what is still being written, or
// below one of them.
func InState(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		return part == StateFolder || strings.HasPrefix(part, UnfinishedPrefix)
	})
}

// tidy is left out of every image because no function needs it.
func tidy() []string {
	return []string{
		".git", ".gitignore", ".gitattributes", ".github", ".hg", ".svn", ".func",
		"/" + IgnoreFile, "/func.yaml", ".dockerignore", ".DS_Store", ".idea", ".vscode", "*.swp", "*~",
	}
}

// Ignore decides what stays out of the image.
type Ignore struct {
	all      *pattern.Matcher // defaults, then the project's rules: the last match wins
	defaults *pattern.Matcher // without the project's rules
	secrets  *Secrets
	only     []string // folders that the image is made of; nil is all
	again    bool     // the project's rules bring some files back
	warn     func(string)
}

// ReadIgnore reads the project's ignore file, if there is one. more are rules
// of the language, such as /node_modules, that the project's own rules can
// overrule. Rules with a mistake are Usage errors that name file and line.
func ReadIgnore(project fs.FS, warn func(string), more ...string) (*Ignore, error) {
	return ReadIgnoreOf(project, nil, warn, more...)
}

// ReadIgnoreOf is ReadIgnore for an image of some folders of a project only. Each has
// an ignore file of its own, whose rules are for what is below it.
func ReadIgnoreOf(project fs.FS, only []string, warn func(string), more ...string) (*Ignore, error) {
	ignore := &Ignore{only: only, warn: warn}
	var patterns []string
	for _, rule := range append(tidy(), more...) {
		patterns = append(patterns, translate(rule)...)
	}
	own, err := ignore.readOwn(project, ".")
	if err != nil {
		return nil, err
	}
	for _, folder := range only {
		below, err := ignore.readOwn(project, folder)
		if err != nil {
			return nil, err
		}
		own = append(append(own, folder+"/"+IgnoreFile, folder+"/func.yaml"), below...)
	}
	if ignore.defaults, err = pattern.New(patterns); err != nil {
		return nil, err
	}
	if ignore.all, err = pattern.New(append(patterns, own...)); err != nil {
		return nil, err
	}
	if ignore.secrets, err = NewSecrets(project, IgnoreFile, "", own, warn); err == nil {
		ignore.secrets.names.AddListings()
	}
	return ignore, err
}

func (g *Ignore) readOwn(project fs.FS, folder string) ([]string, error) {
	name := path.Join(folder, IgnoreFile)
	f, err := project.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &fault.Error{Op: "build.ignore", Kind: fault.KindOf(err), Subject: name, Err: regular.Cause(err)}
	}
	defer f.Close()
	var patterns []string
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for number := 1; lines.Scan(); number++ {
		rule := strings.TrimPrefix(lines.Text(), "\ufeff")
		translated := translate(rule)
		if _, err := patternmatcher.New(translated); err != nil {
			return nil, fault.New(fault.Usage, "build.ignore", fmt.Sprintf("%s:%d", name, number), "%q is not a pattern: %w", rule, err)
		}
		g.again = g.again || strings.HasPrefix(rule, "!")
		for _, pattern := range translated {
			pattern, negated := strings.CutPrefix(pattern, "!")
			if pattern = path.Join(folder, pattern); negated {
				pattern = "!" + pattern
			}
			patterns = append(patterns, pattern)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &fault.Error{Op: "build.ignore", Kind: fault.Usage, Subject: name, Err: err}
	}
	return patterns, nil
}

// translate turns a rule of a .gitignore into patterns of a .dockerignore,
// where every pattern starts at the root: a name with no slash in it matches at
// any depth (https://git-scm.com/docs/gitignore).
func translate(rule string) []string {
	rule = strings.TrimRight(rule, " \t\r")
	if rule == "" || strings.HasPrefix(rule, "#") {
		return nil
	}
	rule, negated := strings.CutPrefix(rule, "!")
	rule = strings.TrimPrefix(rule, `\`) // \# and \! stand for themselves
	rule = strings.TrimSuffix(rule, "/")
	if rule == "" {
		return nil
	}
	pattern := strings.TrimPrefix(rule, "/")
	if !strings.Contains(rule, "/") {
		pattern = "**/" + pattern
	}
	if negated {
		pattern = "!" + pattern
	}
	return []string{pattern}
}

// Filter is a Filter for Tree.Walk. A folder that stays out is still looked
// into when the project has rules that may bring back what is below it.
func (g *Ignore) Filter(name string, dir bool) (out, prune bool) {
	if g.only == nil {
		return g.filter(g.all, name, dir)
	}
	in := func(folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }
	above := func(folder string) bool { return strings.HasPrefix(folder, name+"/") }
	if !slices.ContainsFunc(g.only, in) && !slices.ContainsFunc(g.only, above) {
		return true, true
	}
	return g.filter(g.all, name, dir)
}

// Sources is a Filter for what a build script may read: what stays out of the image
// by the project's own rules may well be needed to make it.
func (g *Ignore) Sources(name string, dir bool) (out, prune bool) {
	return g.filter(g.defaults, name, dir)
}

func (g *Ignore) filter(rules *pattern.Matcher, name string, dir bool) (out, prune bool) {
	if InState(name) {
		return true, true
	}
	// The patterns have been checked, so matching cannot fail.
	if out, _ = rules.Match(name); out {
		return true, !g.again
	}
	return g.secrets.LeaveOut(name, dir), !g.secrets.Named()
}

// WalkSources lists the files that a build script may read, and says what does not
// get that far as a likely secret.
func (g *Ignore) WalkSources(ctx context.Context, tree *Tree) ([]layer.File, error) {
	files, err := tree.Walk(ctx, "", g.Sources, func(string) {})
	if err == nil {
		g.secrets.reportLeftOut()
	}
	return files, err
}

// Walk lists the files of tree for the image, below prefix, and says what stays out
// as a likely secret.
func (g *Ignore) Walk(ctx context.Context, tree *Tree, prefix string) ([]layer.File, error) {
	files, err := tree.Walk(ctx, prefix, g.Filter, g.warn)
	if err == nil {
		g.secrets.Report()
	}
	return files, err
}
