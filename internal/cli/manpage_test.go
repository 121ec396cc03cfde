package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestManPages renders a page for every command and, when KN_LITE_MAN_DIR says
// where, leaves them there for the packages.
func TestManPages(t *testing.T) {
	pages := map[string][]byte{}
	walk(documentedTree(t), func(cmd *cobra.Command) {
		page := manPage(cmd)
		for _, want := range []string{".TH ", "\n.SH NAME\n", "\n.SH SYNOPSIS\n", "\n.SH EXIT STATUS\n"} {
			if !bytes.Contains(page, []byte(want)) {
				t.Errorf("the man page of %s lacks %q", cmd.CommandPath(), want)
			}
		}
		pages[pageName(cmd)+".1"] = page
	})
	if dir := os.Getenv("KN_LITE_MAN_DIR"); dir != "" {
		writePages(t, dir, pages)
	}
}

// manPage is one command in man(7) markup. It carries no date: the same source
// gives the same page.
func manPage(cmd *cobra.Command) []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, ".TH %q 1 \"\" \"kn-lite\" \"User Commands\"\n", strings.ToUpper(pageName(cmd)))
	fmt.Fprintf(&page, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n", roff(pageName(cmd)), roff(cmd.Short), roff(cmd.UseLine()))
	if cmd.Long != "" {
		fmt.Fprintf(&page, ".SH DESCRIPTION\n%s\n", paragraphs(cmd.Long))
	}
	if children := visible(cmd); len(children) > 0 {
		fmt.Fprint(&page, ".SH COMMANDS\n")
		for _, child := range children {
			fmt.Fprintf(&page, ".TP\n.BR %s (1)\n%s\n", roff(pageName(child)), roff(child.Short))
		}
	}
	verbatim(&page, "EXAMPLES", dedent(cmd.Example))
	options(&page, "OPTIONS", cmd.NonInheritedFlags())
	options(&page, "GLOBAL OPTIONS", cmd.InheritedFlags())
	verbatim(&page, "EXIT STATUS", exitStatus)
	if parent := cmd.Parent(); parent != nil {
		fmt.Fprintf(&page, ".SH SEE ALSO\n.BR %s (1)\n", roff(pageName(parent)))
	}
	return page.Bytes()
}

func options(page *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(page, ".SH %s\n", title)
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		name := "--" + flag.Name
		if flag.Shorthand != "" {
			name = "-" + flag.Shorthand + ", " + name
		}
		kind, usage := pflag.UnquoteUsage(flag)
		if kind != "" {
			name += " " + kind
		}
		fmt.Fprintf(page, ".TP\n.B %s\n%s\n", roff(name), roff(usage))
	})
}

func verbatim(page *bytes.Buffer, title, text string) {
	if text = strings.Trim(text, "\n"); text != "" {
		fmt.Fprintf(page, ".SH %s\n.nf\n%s\n.fi\n", title, roff(text))
	}
}

func paragraphs(text string) string {
	return strings.ReplaceAll(roff(strings.TrimSpace(text)), "\n\n", "\n.PP\n")
}

// roff protects what man(7) would take for markup: backslashes, dashes that
// people copy into a shell, and dots and quotes at the start of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func TestRoff(t *testing.T) {
	tests := map[string]string{
		"--flag":       `\-\-flag`,
		".dot\nplain":  `\&.dot` + "\nplain",
		"'quote":       `\&'quote`,
		`C:\path`:      `C:\epath`,
		"mid.dot 'x' ": "mid.dot 'x' ",
	}
	for in, want := range tests {
		if got := roff(in); got != want {
			t.Errorf("roff(%q) = %q, want %q", in, got, want)
		}
	}
}
