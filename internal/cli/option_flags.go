package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/render"
)

// withFlags returns err in terms of the command line: it names the flag of a field.
func withFlags(err error) error {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	if e.Op == builder.OptionOp {
		return optionError(e)
	}
	flag := optionFlags()[subjectOptions()[e.Op]]
	if e.Op == render.Op {
		flag = "-o"
	}
	if flag == "" {
		return err
	}
	named := *e
	named.Subject = flag + " " + e.Subject
	return &named
}

// optionError names the flag of a field of builder.Request.
func optionError(e *fault.Error) error {
	flag, hint := cmp.Or(optionFlags()[e.Subject], e.Subject), e.Hint
	if group, _, found := strings.Cut(e.Subject, "."); found && hint == "" {
		hint = fmt.Sprintf("add --builder %s", map[string]string{"Dockerfile": builder.Dockerfile, "Pod": builder.Cluster}[group])
	}
	return &fault.Error{Op: e.Op, Kind: e.Kind, Subject: flag, Err: e.Err, Hint: hint}
}
