package python

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// explain hands on pip's own words, and names what has no wheel.
func (i *install) explain(output string, err error) error {
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
		return err
	}
	output = shortenVersions(output)
	words := strings.TrimRight(output, "\n")
	// pip says it in no other form.
	if found := regexp.MustCompile(`No matching distribution found for (\S+)`).FindStringSubmatch(output); found != nil {
		return fault.New(fault.Build, "build.python", i.from, "%s has no wheel for Python %s on %s\n%s", found[1], majorMinor(i.version), i.platform, words).
			WithHint("if it is a typing mistake, correct it; if there is only its source, make a wheel on such a machine and let pip find it:\n  pip wheel '%s' -w wheels && PIP_FIND_LINKS=$PWD/wheels kn-lite build", found[1])
	}
	return fault.New(fault.Build, "build.python", i.from, "pip could not install the dependencies\n%s", words)
}

// shownVersions is how many of the versions that pip found are shown.
const shownVersions = 5

// shortenVersions leaves of all versions that pip lists the ones next to what was
// asked for.
func shortenVersions(output string) string {
	list := regexp.MustCompile(`(satisfies the requirement )(\S+)(.*?\(from versions: )([^)]*)\)`)
	return list.ReplaceAllStringFunc(output, func(text string) string {
		parts := list.FindStringSubmatch(text)
		versions := strings.Split(parts[4], ", ")
		if len(versions) <= shownVersions {
			return text
		}
		wanted := regexp.MustCompile(`[0-9][\w.!+-]*`).FindString(strings.TrimPrefix(parts[2], lockfile.NameOf(parts[2])))
		slices.SortStableFunc(versions, lockfile.CompareVersions)
		at, _ := slices.BinarySearchFunc(versions, wanted, lockfile.CompareVersions)
		if wanted == "" {
			at = len(versions)
		}
		from := min(max(at-shownVersions/2, 0), len(versions)-shownVersions)
		return fmt.Sprintf("%s%s%s%s and %d more)", parts[1], parts[2], parts[3], strings.Join(versions[from:from+shownVersions], ", "), len(versions)-shownVersions)
	})
}
