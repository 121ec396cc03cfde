package dockerfile

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/moby/patternmatcher/ignorefile"

	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/pattern"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/regular"
)

const ignoreFile = ".dockerignore"

// buildContext is the folder that COPY reads from.
type buildContext struct {
	tree    *source.Tree
	fs      fs.FS
	ignored *pattern.Matcher
	back    bool   // some rules bring back what others leave out
	git     bool   // they name .git
	beside  []byte // the rules of the Dockerfile's own file; nil when it has none
	secrets *source.Secrets
	report  progress.Reporter
}

// openContext opens the context and reads its rules.
func (b *builder) openContext() error {
	c := &buildContext{tree: b.tree, fs: b.tree.FS(), report: b.Report}
	name, raw, err := b.readIgnore()
	if err != nil {
		return err
	}
	if name != ignoreFile {
		c.beside = append([]byte{}, raw...)
	}
	rules, err := ignorefile.ReadAll(bytes.NewReader(raw))
	if err == nil {
		c.ignored, err = pattern.New(rules)
	}
	if err == nil {
		c.secrets, err = source.NewSecrets(c.fs, name, ", or in a COPY of its own", rules, b.Report.Warn)
	}
	if err != nil {
		return &fault.Error{Op: "dockerfile.ignore", Kind: fault.Build, Subject: name, Err: err}
	}
	c.back = c.ignored.Exclusions()
	c.git = slices.ContainsFunc(rules, func(rule string) bool {
		rule, again := strings.CutPrefix(rule, "!")
		return again && slices.Contains(strings.Split(rule, "/"), ".git")
	})
	b.context = c
	return nil
}

// readIgnore reads the rules that belong to the Dockerfile, which stand beside it
// under its name with .dockerignore, wherever it is; else those of the context.
func (b *builder) readIgnore() (name string, raw []byte, err error) {
	name = b.file + ignoreFile
	if b.File != "" {
		raw, err = regular.ReadFile(b.File + ignoreFile)
	} else {
		raw, err = fs.ReadFile(b.tree.FS(), name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		name = ignoreFile
		raw, err = fs.ReadFile(b.tree.FS(), name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ignoreFile, nil, nil
	}
	if err != nil {
		return name, nil, &fault.Error{Op: "dockerfile.ignore", Kind: fault.Build, Subject: name, Err: regular.Cause(err)}
	}
	return name, raw, nil
}

// isIgnored reports whether a rule leaves name out.
func (c *buildContext) isIgnored(name string) bool {
	// The patterns have been checked, so matching cannot fail.
	out, _ := c.ignored.Match(name)
	return out
}

// leaveOut reports whether a file stays out without a rule: likely secrets, and the
// repository, which has every secret that was ever committed.
func (c *buildContext) leaveOut(name string, dir bool) bool {
	if !c.git && slices.Contains(strings.Split(name, "/"), ".git") {
		return true
	}
	return c.secrets.LeaveOut(name, dir)
}
