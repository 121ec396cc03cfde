package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// takeExcludes removes the --exclude flags of COPY and ADD from the tree and returns
// their patterns by line: docker/dockerfile 1.20 has the flag, and the parser of this
// version knows it only when it is compiled with a build tag.
func (b *builder) takeExcludes(tree *parser.Node) (map[int][]string, error) {
	out := map[int][]string{}
	for _, node := range tree.Children {
		if word := strings.ToLower(node.Value); word != "copy" && word != "add" {
			continue
		}
		var rest []string
		for _, flag := range node.Flags {
			name, value, _ := strings.Cut(flag, "=")
			switch name {
			case "--exclude":
				if value == "" {
					return nil, b.at(node.Location(), "%s --exclude has no pattern", strings.ToUpper(node.Value))
				}
				out[node.StartLine] = append(out[node.StartLine], value)
			case "--parents":
				return nil, b.at(node.Location(), "%s --parents is not supported", strings.ToUpper(node.Value)).
					WithHint("copy each folder to its own place, for example: COPY a/b a/b")
			default:
				rest = append(rest, flag)
			}
		}
		node.Flags = rest
	}
	return out, nil
}

func giveExcludes(stages []instructions.Stage, excludes map[int][]string) {
	for _, s := range stages {
		for _, cmd := range s.Commands {
			switch c := cmd.(type) {
			case *instructions.CopyCommand:
				c.ExcludePatterns = append(c.ExcludePatterns, excludes[c.Location()[0].Start.Line]...)
			case *instructions.AddCommand:
				c.ExcludePatterns = append(c.ExcludePatterns, excludes[c.Location()[0].Start.Line]...)
			}
		}
	}
}
