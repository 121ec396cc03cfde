package cli

import (
	"errors"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// problem is a kind of error of an operation of the packages below cli. They know
// no flags.
type problem struct {
	op   string
	kind fault.Kind
}

// flagHints says by which flags a person gives what an operation was missing.
func flagHints() map[problem]string {
	return map[problem]string{
		{"ingress.dial", fault.Transient}:    "--ingress HOST:PORT or KN_LITE_INGRESS names it",
		{"ingress.private", fault.Failure}:   "--ingress HOST:PORT names the address, e.g. --ingress localhost:8080",
		{"cluster.ingress", fault.Transient}: "--ingress HOST:PORT or the setting `ingress` names it",
		{"invoke", fault.Conflict}:           "kn-lite deploy --tag NAME gives a revision its tag",
	}
}

// hintOf returns what a person can do about err: what the error says, and which
// flags there are for it.
func hintOf(err error) string {
	hint := fault.HintOf(err)
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return hint
	}
	return strings.Trim(hint+"\n"+flagHints()[problem{e.Op, e.Kind}], "\n")
}
