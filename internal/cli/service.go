package cli

import (
	"github.com/kn-lite/kn-lite/internal/fault"
)

// serviceArg lets a positional SERVICE stand for --service; the two may not
// contradict each other.
func serviceArg(named *string, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if *named != "" && *named != args[0] {
		return fault.Usagef("which service: %s or %s?", args[0], *named).WithHint("name it once, as an argument or with --service")
	}
	*named = args[0]
	return nil
}
