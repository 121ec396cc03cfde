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
	switch e.Op {
	case builder.OptionOp:
		return optionError(e)
	case render.Op:
		named := *e
		named.Subject = "-o " + e.Subject
		return &named
	case "builder.choose":
		named := *e
		named.Subject = "--builder " + e.Subject
		return &named
	}
	return err
}

// optionError names the flag of a field of builder.Request.
func optionError(e *fault.Error) error {
	flag, hint := cmp.Or(optionFlags()[e.Subject], e.Subject), e.Hint
	if e.Subject == "BaseImage" {
		hint = strings.ReplaceAll(hint, "with BASE=", "with --build-arg BASE=")
	}
	if group, _, found := strings.Cut(e.Subject, "."); found && hint == "" {
		hint = fmt.Sprintf("add --builder %s", map[string]string{"Dockerfile": builder.Dockerfile, "Pod": builder.Cluster}[group])
	}
	return &fault.Error{Op: e.Op, Kind: e.Kind, Subject: flag, Err: e.Err, Hint: hint}
}
