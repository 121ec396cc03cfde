package java

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// readLayers reads Spring Boot's layers.idx, and tells in which of our layers a
// library belongs: modules of the project itself are in its application layer.
func readLayers(index string) func(library string) string {
	type rule struct{ path, layer string }
	var rules []rule
	now := ""
	item := regexp.MustCompile(`^( *)- "([^"]*)"`)
	for line := range strings.Lines(index) {
		switch found := item.FindStringSubmatch(line); {
		case found == nil:
		case found[1] == "":
			now = found[2]
		default:
			rules = append(rules, rule{found[2], now})
		}
	}
	return func(library string) string {
		at := slices.IndexFunc(rules, func(r rule) bool {
			return r.path == library || strings.HasSuffix(r.path, "/") && strings.HasPrefix(library, r.path)
		})
		switch {
		case at >= 0 && rules[at].layer == application:
			return application
		case strings.Contains(path.Base(library), "SNAPSHOT"):
			return snapshots
		}
		return dependencies
	}
}

// ordered is libs in the order of Spring Boot's classpath.idx, those that it does
// not name after them.
func ordered(libs []string, index string) []string {
	var out []string
	for line := range strings.Lines(index) {
		name := strings.Trim(strings.TrimPrefix(strings.TrimSpace(line), "- "), `"`)
		if slices.Contains(libs, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range libs {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
