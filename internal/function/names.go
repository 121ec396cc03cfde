package function

import (
	"fmt"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// NameRule is the rule for the name of a function, in words.
const NameRule = "a name has 1 to 63 lower-case letters, digits and '-', begins with a letter and ends with a letter or digit"

// maxLabel is the length of a DNS label (RFC 1123), which a service's name
// becomes in its URL.
const maxLabel = 63

// CheckName applies Knative's own rule for service names: a DNS-1123 label that
// begins with a letter (RFC 1035), since it becomes a host name and the name of
// Kubernetes services. The hint has a good name near the bad one, if any.
func CheckName(name string) error {
	if isServiceName(name) {
		return nil
	}
	why := "is not a valid name"
	switch {
	case name == "":
		return fault.New(fault.Usage, "function.name", "", "the name is empty").WithHint("%s", NameRule)
	case len(name) > maxLabel:
		why = fmt.Sprintf("has %d characters, and %d are allowed", len(name), maxLabel)
	}
	err := fault.New(fault.Usage, "function.name", "", "%q %s", name, why)
	if good := SuggestName(name); good != "" {
		return err.WithHint("%s\nfor example: %s", NameRule, good)
	}
	return err.WithHint("%s", NameRule)
}

// SuggestName is the good name that is nearest to a bad one, or "" where
// nothing of it can be kept.
func SuggestName(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9' && b.Len() > 0:
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	good := b.String()
	return strings.TrimRight(good[:min(len(good), maxLabel)], "-")
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// all reports whether s has at least one byte and every one of them is ok.
func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return s != ""
}

// isDNSLabel is RFC 1123's label in lower case, as Kubernetes has it.
func isDNSLabel(s string) bool {
	return len(s) <= maxLabel && all(s, func(c byte) bool { return isLower(c) || isDigit(c) || c == '-' }) &&
		s[0] != '-' && s[len(s)-1] != '-'
}

func isServiceName(s string) bool { return isDNSLabel(s) && isLower(s[0]) }

func isDNSSubdomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !isDNSLabel(part) {
			return false
		}
	}
	return true
}

// isEnvName is Kubernetes' rule for variable names.
func isEnvName(s string) bool { return isDataKey(s) && !isDigit(s[0]) }

// isDataKey is the rule for keys of secrets and config maps.
func isDataKey(s string) bool {
	return len(s) <= 253 && all(s, func(c byte) bool {
		return isLower(c) || isUpper(c) || isDigit(c) || c == '-' || c == '_' || c == '.'
	})
}

// isLabelValue is Kubernetes' rule for the value of a label; "" is one.
func isLabelValue(s string) bool {
	if s == "" {
		return true
	}
	alnum := func(c byte) bool { return isLower(c) || isUpper(c) || isDigit(c) }
	return len(s) <= maxLabel && isDataKey(s) && alnum(s[0]) && alnum(s[len(s)-1])
}

// isQualifiedName is the rule for the keys of labels and annotations: an
// optional DNS prefix and a slash, then a name.
func isQualifiedName(s string) bool {
	if prefix, name, found := strings.Cut(s, "/"); found {
		return isDNSSubdomain(prefix) && name != "" && isLabelValue(name)
	}
	return s != "" && isLabelValue(s)
}

// isQuantity is a Kubernetes quantity that is not negative: 500m, 1.5, 128Mi, 1e3.
func isQuantity(s string) bool {
	number := strings.TrimLeft(s, "0123456789")
	digits := len(s) - len(number)
	if fraction, found := strings.CutPrefix(number, "."); found {
		number = strings.TrimLeft(fraction, "0123456789")
		digits += len(fraction) - len(number)
	}
	if digits == 0 {
		return false
	}
	switch number {
	case "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei":
		return true
	}
	exponent, found := strings.CutPrefix(strings.ToLower(number), "e")
	return found && all(strings.TrimLeft(exponent, "+-"), isDigit)
}
