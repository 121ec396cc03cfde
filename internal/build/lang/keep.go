package lang

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// KeepVariable names files that go into the image beside a compiled program, as
// patterns with colons between them. It is the variable that func's buildpacks
// have for it.
const KeepVariable = "BP_KEEP_FILES"

// KeptPatterns are the patterns of KeepVariable.
func KeptPatterns(environ []string) []string {
	var out []string
	for pattern := range strings.SplitSeq(Lookup(environ, KeepVariable), ":") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			out = append(out, path.Clean(strings.TrimPrefix(pattern, "./")))
		}
	}
	return out
}

// KeepAdvice says that a program seems to read files that the image does not hold.
func KeepAdvice(names []string) string {
	return fmt.Sprintf("the code names %s, and the image holds the program alone: if it reads this at run time, embed it with //go:embed, or set the variable %s to %s in func.yaml's build.buildEnvs",
		strings.Join(names, ", "), KeepVariable, strings.Join(names, ":"))
}

// KeptFiles are the files of tree that KeepVariable names, as they shall stand
// below prefix. What is ignored stays out.
func KeptFiles(ctx context.Context, p *Project, tree *source.Tree, prefix string) ([]layer.File, error) {
	var named []string
	for _, pattern := range KeptPatterns(p.Environ) {
		found, err := fs.Glob(tree.FS(), pattern)
		if err != nil || len(found) == 0 {
			return nil, fault.New(fault.Usage, "build.files", pattern, "no file has this name, which %s of func.yaml's build.buildEnvs gives", KeepVariable)
		}
		named = append(named, found...)
	}
	ignore, err := source.ReadIgnore(tree.FS(), p.Report.Warn)
	if err != nil {
		return nil, err
	}
	return tree.Walk(ctx, prefix, func(name string, dir bool) (out, prune bool) {
		inside, above := false, false
		for _, n := range named {
			inside = inside || name == n || strings.HasPrefix(name, n+"/") || n == "."
			above = above || strings.HasPrefix(n, name+"/")
		}
		if !inside {
			return !(above && dir), !above
		}
		return ignore.Filter(name, dir)
	}, p.Report.Warn)
}
