package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// mayBeEmpty marks flags for which "" is a value like others: a body, say.
const mayBeEmpty = "kn-lite_may_be_empty"

// allowEmpty marks a flag of cmd so that "" may be given to it.
func allowEmpty(cmd *cobra.Command, flag string) {
	// The flag is registered by the caller, so an error here cannot happen.
	_ = cmd.Flags().SetAnnotation(flag, mayBeEmpty, []string{"true"})
}

// checkEmpty refuses empty values. In scripts they come from variables that are
// not set, and "nothing was said" is hardly ever what was meant: --image "$IMAGE"
// must not build what is in the folder instead.
func checkEmpty(cmd *cobra.Command, given, args []string) error {
	if cmd.DisableFlagParsing {
		return nil // cobra's own completion: what the shell completes may be empty
	}
	for _, arg := range args {
		if arg == "" {
			return fault.Usagef("an argument is empty").WithHint("is a variable not set?\nusage: %s", cmd.UseLine())
		}
	}
	// The values as they were typed: those of lists show no more that one was empty.
	return cmd.Flags().ParseAll(given, func(flag *pflag.Flag, value string) error {
		if value != "" || flag.Annotations[mayBeEmpty] != nil {
			return nil
		}
		return fault.Usagef("--%s: the value is empty", flag.Name).WithHint("is a variable not set? leave the flag out to get its default")
	})
}
