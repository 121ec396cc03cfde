package doctor

import (
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// tool is a program that a language's builds need: one of names.
type tool struct {
	names []string
	from  string // how to get it
}

// toolchains returns what builds without a Dockerfile need, by language.
func toolchains() map[string][]tool {
	const nodeFrom, rustFrom = "install Node.js with npm from https://nodejs.org", "install Rust from https://rustup.rs"
	node := []tool{{[]string{"node"}, nodeFrom}, {[]string{"npm"}, nodeFrom}}
	return map[string][]tool{
		"go":         {{[]string{"go"}, "install Go from https://go.dev/dl"}},
		"java":       {{[]string{"javac"}, "install a JDK: https://adoptium.net"}, {[]string{"mvn", "gradle"}, "install Maven: https://maven.apache.org/install.html"}},
		"node":       node,
		"python":     {{[]string{"python3"}, "install Python with pip from https://www.python.org/downloads"}},
		"rust":       {{[]string{"cargo"}, rustFrom}, {[]string{"rustc"}, rustFrom}},
		"typescript": node,
	}
}

// Toolchain judges whether the programs that build a language are there. has reports
// whether a program is; "" is no language in particular: then it says which are there.
func Toolchain(language string, has func(program string) bool) Finding {
	all := toolchains()
	if language == "" {
		var there []string
		for name, tools := range all {
			if missing, _ := lacking(tools, has); missing == "" {
				there = append(there, name)
			}
		}
		if slices.Sort(there); len(there) == 0 {
			return Skipped("no function in this folder, and no toolchain on this machine: a Dockerfile needs none")
		}
		return Skipped("no function in this folder; there are toolchains for %s", strings.Join(there, ", "))
	}
	tools, known := all[language]
	if !known {
		return Skipped("what builds %s is not known here", language)
	}
	if missing, from := lacking(tools, has); missing != "" {
		return Failed(fault.New(fault.Conflict, "doctor.toolchain", language, "the program %s is needed to build it and is not in PATH", missing),
			from+"\nor with nothing but a Dockerfile: {Builder} dockerfile here, {Builder} cluster in the cluster")
	}
	return Passed("%s can be built", language)
}

// lacking returns the first program that is not there, and how to get it.
func lacking(tools []tool, has func(string) bool) (missing, from string) {
	for _, t := range tools {
		if !slices.ContainsFunc(t.names, has) {
			return strings.Join(t.names, " or "), t.from
		}
	}
	return "", ""
}
