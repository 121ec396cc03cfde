package kubelet

import "strings"

// expand replaces $(NAME) by what lookup knows of it, as Kubernetes does in
// commands, arguments and values: $$ is a dollar, and what is not known stays.
func expand(text string, lookup func(name string) (string, bool)) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, rest, closed := "", "", false
		if strings.HasPrefix(after, "(") {
			name, rest, closed = strings.Cut(after[1:], ")")
		}
		switch {
		case closed:
			if value, ok := lookup(name); ok {
				out.WriteString(value)
			} else {
				out.WriteString("$(" + name + ")")
			}
			text = rest
		case strings.HasPrefix(after, "$"):
			out.WriteString("$")
			text = after[1:]
		default:
			out.WriteString("$")
			text = after
		}
	}
}
