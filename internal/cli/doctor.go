package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/doctor"
	"github.com/kn-lite/kn-lite/internal/fault"
)

type doctorOptions struct{}

// diagnosis is what -o json shows.
type diagnosis struct {
	header
	Healthy bool             `json:"healthy"` // nothing failed
	Checks  []doctor.Finding `json:"checks"`
}

func newDoctorCmd(f *Factory, runF func(context.Context, *doctorOptions) error) *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether this machine, folder and cluster have what a deploy needs",
		Long: `Doctor looks at what a deploy from this folder would use: settings, func.yaml,
toolchain, sandbox and disk space of this machine; the registry, with the rights to
push to it; the cluster, Knative, the namespace, your rights there, what func.yaml
refers to, and the way from here to the functions. It changes nothing.

Each check is ok, warn, fail or skip, and says what to do. Exits with 1 when one
fails; warnings and what was skipped are no failure. -o name prints the checks
that have failed.`,
		Example: `  kn-lite doctor

  # In a pipeline: what is wrong, for a program
  kn-lite doctor -o json | jq '.checks[] | select(.result == "fail")'`,
		GroupID: groupDayTwo,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runner(f, runF, bounded(runDoctor))(cmd.Context(), o)
		},
	}
	addRegistryFlags(f, cmd)
	return cmd
}

func runDoctor(ctx context.Context, f *Factory, _ *doctorOptions) error {
	findings, err := f.App().Diagnose(ctx, app.DiagnoseRequest{Namespace: f.Flags.Namespace})
	if err != nil {
		return err
	}
	for i := range findings {
		found := &findings[i]
		if found.Err != nil {
			if hint := hintOf(found.Err); hint != "" {
				found.Fix = hint
			}
		}
		found.Detail, found.Fix = nameFlags(found.Detail), f.typed(nameFlags(found.Fix))
	}
	failed := doctor.Failures(findings)
	err = f.print(answer{
		Object: diagnosis{head("Diagnosis"), len(failed) == 0, findings}, Names: failed,
		Table: func() error { return f.IO.Lines(doctorText(findings)) },
	})
	if err != nil || len(failed) == 0 {
		return err
	}
	return fault.New(fault.Failure, "doctor", strings.Join(failed, ", "), "%s failed", plural(len(failed), "check"))
}

// doctorText is the list that a person reads: what was skipped since another check
// did not come out well is one line.
func doctorText(findings []doctor.Finding) string {
	var lines []string
	var skipped []string
	for _, found := range findings {
		if found.After != "" {
			skipped = append(skipped, found.Name)
			continue
		}
		detail := strings.Split(found.Detail, "\n")
		if found.Fix != "" {
			detail = append(detail, strings.Split(found.Fix, "\n")...)
		}
		lines = append(lines, fmt.Sprintf("%-5s %-12s %s", found.Result, found.Name, strings.Join(detail, "\n"+strings.Repeat(" ", 19))))
	}
	if len(skipped) > 0 {
		lines = append(lines, fmt.Sprintf("%-5s %s", doctor.Skip, strings.Join(skipped, ", ")+": each needs a check above"))
	}
	return strings.Join(lines, "\n")
}
