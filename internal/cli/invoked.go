package cli

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// program is the name that help and hints use where nothing says otherwise.
const program = "kn-lite"

// invokedAs returns what a person has typed to run this program. kubectl runs
// kubectl-kn_lite for `kubectl kn-lite`; kn runs kn-lite for `kn lite`, which shows
// only where that is in kn's own folder and not on the PATH.
func invokedAs(argv0 string) string {
	folder, name := path.Split(filepath.ToSlash(argv0))
	name = strings.TrimSuffix(name, ".exe")
	switch {
	case name == "kubectl-kn_lite":
		return "kubectl kn-lite"
	case name == "kubectl-kn-lite":
		return "kubectl kn lite"
	case name == program && strings.HasSuffix(folder, "/kn/plugins/"):
		return "kn lite"
	}
	return program
}

// arguments returns what the command tree is to run. Under the name of kubectl's
// helper for completion it is what cobra completes.
func arguments(args []string) []string {
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	if name == "kubectl_complete-kn_lite" || name == "kubectl_complete-kn-lite" {
		return append([]string{cobra.ShellCompRequestCmd}, args[1:]...)
	}
	return args[1:]
}

// nameAsInvoked makes help and examples show what was typed.
func nameAsInvoked(root *cobra.Command, argv0 string) {
	name := invokedAs(argv0)
	if name == program {
		return
	}
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: name}
	var rename func(*cobra.Command)
	rename = func(cmd *cobra.Command) {
		cmd.Example, cmd.Long = asInvoked(root, cmd.Example), asInvoked(root, cmd.Long)
		for _, child := range cmd.Commands() {
			rename(child)
		}
	}
	rename(root)
}

// asInvoked returns a text with this program's commands as a person can type them.
func asInvoked(root *cobra.Command, text string) string {
	name := root.DisplayName()
	if name == program {
		return text
	}
	return regexp.MustCompile(`(?:kubectl )?\bkn-lite (-|[a-z]+)`).ReplaceAllStringFunc(text, func(use string) string {
		word, found := strings.CutPrefix(use, program+" ")
		if !found {
			return use // it says so already
		}
		if word != "-" && !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == word }) {
			return use
		}
		return name + " " + word
	})
}
