package dockerfile

import (
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// newerFlags are flags of COPY and ADD that the front end has, and the parser of this
// version only when it is compiled with a build tag, or not at all.
type newerFlags struct {
	exclude []string
	unpack  *bool // of ADD; nil unpacks what is an archive
}

// takeNewerFlags removes the newer flags from an instruction.
func (b *builder) takeNewerFlags(node *parser.Node) (newerFlags, error) {
	var out newerFlags
	word := strings.ToUpper(node.Value)
	if word != "COPY" && word != "ADD" {
		return out, nil
	}
	var rest []string
	for _, flag := range node.Flags {
		name, value, valued := strings.Cut(flag, "=")
		switch {
		case name == "--exclude":
			if value == "" {
				return out, b.at(node.Location(), "%s --exclude has no pattern", word)
			}
			out.exclude = append(out.exclude, value)
		case name == "--unpack" && word == "ADD":
			unpack := true
			if valued {
				var err error
				if unpack, err = strconv.ParseBool(value); err != nil {
					return out, b.at(node.Location(), "ADD --unpack=%s: it is true or false", value)
				}
			}
			out.unpack = &unpack
		case name == "--parents":
			return out, b.at(node.Location(), "%s --parents is not supported", word).
				WithHint("copy each folder to its own place, for example: COPY a/b a/b")
		default:
			rest = append(rest, flag)
		}
	}
	node.Flags = rest
	return out, nil
}

// takeAllNewerFlags does so in the whole file, and returns the flags by line.
func (b *builder) takeAllNewerFlags(tree *parser.Node) (map[int]newerFlags, error) {
	out := map[int]newerFlags{}
	for _, node := range tree.Children {
		flags, err := b.takeNewerFlags(node)
		if err != nil {
			return nil, err
		}
		out[node.StartLine] = flags
	}
	return out, nil
}

// giveAll puts the flags back, now that the instructions are parsed.
func (p *plan) giveAll(flags map[int]newerFlags) {
	for _, s := range p.stages {
		for _, cmd := range s.Commands {
			p.give(cmd, flags[cmd.Location()[0].Start.Line])
		}
	}
}

func (p *plan) give(cmd instructions.Command, flags newerFlags) {
	switch c := cmd.(type) {
	case *instructions.CopyCommand:
		c.ExcludePatterns = append(c.ExcludePatterns, flags.exclude...)
	case *instructions.AddCommand:
		c.ExcludePatterns = append(c.ExcludePatterns, flags.exclude...)
		if flags.unpack != nil && !*flags.unpack {
			p.packed[c] = true
		}
	}
}
