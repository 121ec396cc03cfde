package deploy

import (
	"regexp"
	"strings"
)

// secrets knows what looks like a secret in the settings of a service.
type secrets struct{ name, parameter, password *regexp.Regexp }

func newSecrets() secrets {
	return secrets{
		name:      regexp.MustCompile(`(?i)secret|token|pass|pwd|credential|private|auth|api_?key|_key$|_pat$|dsn`),
		parameter: regexp.MustCompile(`(?i)((?:secret|token|pass\w*|pwd|\w*key)=|bearer )[^&;\s"\\]+`),
		password:  regexp.MustCompile(`(://[^/\s:@]*:)[^/\s@]+@`),
	}
}

// names reports whether a variable of this name holds a secret.
func (s secrets) names(variable string) bool { return s.name.MatchString(variable) }

// masked returns a value without the secrets that stand inside of it.
func (s secrets) masked(value string) string {
	return s.parameter.ReplaceAllString(s.password.ReplaceAllString(value, "${1}***@"), "${1}***")
}

// hide replaces a literal value; a reference to a secret is no secret.
func hide(value string) string {
	if strings.HasPrefix(value, `"`) && value != `""` {
		return "(hidden)"
	}
	return value
}
