package build

import (
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// checkLock refuses a project without a lock where nobody looks at what versions
// a build has chosen, and warns elsewhere. It is the same in every language.
func (b *builder) checkLock() error {
	missing := b.plan.Unlocked
	if missing == nil {
		return nil
	}
	if !b.spec.AnyLock && inCI(b.spec.Environ) {
		return fault.New(fault.Usage, "build.plan", b.project.Label, "%s, and in CI (the variable CI is set) a build does not choose versions itself", missing.Why).
			WithHint("write the lock and keep it with the code: %s", missing.Command)
	}
	b.spec.Progress.Warn(missing.Why + ": this build chooses versions itself, and the next one may get others; write the lock and keep it with the code: " + missing.Command)
	return nil
}

// inCI reports whether the variable says so that CI systems have in common.
func inCI(environ []string) bool {
	return !slices.Contains([]string{"", "0", "false"}, strings.ToLower(lang.Lookup(environ, "CI")))
}
