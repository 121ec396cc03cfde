package traffic

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Share is one wish of a user: a reference to a target, not yet resolved, and
// its part of the traffic in percent.
type Share struct {
	Ref     string
	Percent int
}

// Edit is an absolute wish: its shares sum to 100.
type Edit []Share

// HasShare reports whether an argument is TARGET=PERCENT rather than a bare name.
func HasShare(arg string) bool { return strings.Contains(arg, "=") }

// Parse reads arguments such as "v1=50", "@latest=10%" or "v1=90,v2". One
// target may leave out its share and takes what the others leave. Every error
// is a fault.Usage: nothing here needs to know the cluster.
func Parse(args []string) (Edit, error) {
	var edit Edit
	rest := -1
	sum := 0
	seen := make(map[string]bool)
	for _, arg := range strings.Split(strings.Join(args, ","), ",") {
		share, hasPercent, err := parseShare(arg)
		if err != nil {
			return nil, err
		}
		if seen[share.Ref] {
			return nil, usage("%s is named twice", share.Ref).WithHint("give each target one share")
		}
		seen[share.Ref] = true
		if !hasPercent {
			if rest >= 0 {
				return nil, usage("%s and %s both leave out their share", edit[rest].Ref, share.Ref).
					WithHint("only one target can take the rest; give the others a number, e.g. %s=50", share.Ref)
			}
			rest = len(edit)
		}
		sum += share.Percent
		edit = append(edit, share)
	}
	switch {
	case sum > 100:
		return nil, usage("the shares sum to %d: %d %% too many", sum, sum-100).WithHint("they must sum to 100")
	case rest >= 0:
		edit[rest].Percent = 100 - sum
	case sum < 100:
		return nil, usage("the shares sum to %d: %d %% missing", sum, 100-sum).
			WithHint("they must sum to 100; one target may leave out its share and takes the rest, e.g. %s=50 OTHER", edit[0].Ref)
	}
	return edit, nil
}

// ParsePart reads shares that need not sum to 100: who is not named has the rest.
func ParsePart(args []string) (Edit, error) {
	var edit Edit
	sum := 0
	for _, arg := range strings.Split(strings.Join(args, ","), ",") {
		share, hasPercent, err := parseShare(arg)
		if err != nil {
			return nil, err
		}
		if !hasPercent {
			return nil, usage("%q is not TARGET=PERCENT", arg).WithHint("e.g. %s=10", share.Ref)
		}
		if slices.ContainsFunc(edit, func(other Share) bool { return other.Ref == share.Ref }) {
			return nil, usage("%s is named twice", share.Ref).WithHint("give each target one share")
		}
		if sum += share.Percent; sum > 100 {
			return nil, usage("the shares sum to %d: %d %% too many", sum, sum-100).WithHint("they sum to 100 at most")
		}
		edit = append(edit, share)
	}
	return edit, nil
}

func parseShare(arg string) (share Share, hasPercent bool, err error) {
	arg = strings.TrimSpace(arg)
	at := strings.LastIndex(arg, "=")
	if at < 0 {
		share.Ref = arg
	} else {
		share.Ref = arg[:at]
	}
	if share.Ref == "" || strings.ContainsAny(share.Ref, "= \t\n") {
		return share, false, usage("%q is not TARGET=PERCENT", arg).WithHint("e.g. v1=90 v2=10")
	}
	if at < 0 {
		return share, false, nil
	}
	text := strings.TrimSpace(strings.TrimSuffix(arg[at+1:], "%"))
	share.Percent, err = strconv.Atoi(text)
	switch {
	case text == "":
		return share, false, usage("%s: the percentage is missing", arg).WithHint("write %s=50, or just %s to give it the rest", share.Ref, share.Ref)
	case strings.HasPrefix(text, "+"):
		// Taken as what a relative share would be called, not as the same without a sign.
		return share, false, usage("%s: shares are absolute", arg).WithHint("write %s=%s for that share", share.Ref, text[1:])
	case err != nil && isFraction(text):
		return share, false, usage("%s: percentages are whole numbers", arg).WithHint("Knative splits traffic in steps of 1 %%")
	case err != nil:
		return share, false, usage("%s: %q is not a percentage", arg, text).WithHint("percentages are whole numbers from 0 to 100")
	case share.Percent < 0:
		return share, false, usage("%s: a percentage cannot be negative", arg).WithHint("percentages are whole numbers from 0 to 100")
	case share.Percent > 100:
		return share, false, usage("%s: a percentage cannot be more than 100", arg).WithHint("percentages are whole numbers from 0 to 100")
	}
	return share, true, nil
}

func isFraction(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil && strings.ContainsAny(text, ".eE")
}

// String is the edit as it could be typed.
func (e Edit) String() string {
	parts := make([]string, len(e))
	for i, s := range e {
		parts[i] = s.Ref + "=" + strconv.Itoa(s.Percent)
	}
	return strings.Join(parts, " ")
}

func usage(format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, "traffic.parse", "", format, args...)
}
