package cli

import (
	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// serviceName returns the service that a command is about: the one that was named
// on the command line (an argument or --service), else the working folder's.
func serviceName(named string) (string, error) {
	if named != "" {
		return named, function.CheckName(named)
	}
	project, err := app.FindProject(".")
	if err != nil {
		return "", err
	}
	if project == nil {
		return "", fault.Usagef("which service? there is no %s here to tell", function.File).
			WithHint("name it with --service NAME, or go to the function's folder")
	}
	return project.Name, nil
}

// addServiceFlag gives cmd the -s/--service that serviceName resolves.
func addServiceFlag(cmd *cobra.Command, named *string) {
	cmd.Flags().StringVarP(named, "service", "s", "", "service (default: the name in ./func.yaml)")
}

// dirArg returns the optional DIR argument: "." when it is left out.
func dirArg(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// completeFolders offers folders for a DIR argument.
func completeFolders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
