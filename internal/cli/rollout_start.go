package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/rollout"
)

type rolloutStartOptions struct {
	Service  string
	Revision string
	Plan     rollout.Plan

	Signal     string
	Prometheus string
	ProbePath  string
	Ingress    string

	changed func(flag string) bool
}

// rolloutTexts are the flags that are more than a number or a duration.
type rolloutTexts struct{ steps, errorRate, errorIncrease, slowdown string }

func newRolloutStartCmd(f *Factory, runF func(context.Context, *rolloutStartOptions) error) *cobra.Command {
	o, texts := &rolloutStartOptions{Plan: rollout.Defaults()}, &rolloutTexts{}
	cmd := &cobra.Command{
		Use:   "start [SERVICE] [REVISION]",
		Short: "Give a revision more traffic step by step, as long as it does well",
		Long: `Give a revision (default: the newest ready one) the shares of --steps, one after
the other. At each step its requests are watched for --interval and until
--min-requests were answered; then it has to keep to the limits, and to do about as
well as the stable revision, which is the one with the largest share before:

  --max-error-rate      share of answers with a status of 500 and above
  --max-error-increase  the same, beyond what the stable revision has
  --max-p95             time within which 95 of 100 requests are answered
  --max-slowdown        the same, beyond what the stable revision takes
  --max-restarts        of its containers

When it does not, the split from before comes back as it was, the reason is shown
with its figures, and the exit code is 9. A step without enough requests never
passes: after --patience it has failed too.

The command stays until the end. Ctrl-C pauses the rollout where it is; start
without a REVISION goes on with it, on any machine. There is one rollout of a
service at a time (exit code 6); a deploy or a split by somebody else ends it, and
is not overwritten.

The figures are from the first of these that has some, and it says which:
a Prometheus server whose address is given (prometheus), the gateway of the ingress
(ingress: Kourier, Istio, Traefik), Knative's proxy in each pod (queue-proxy), the
embedded platform (platform), or requests that this command sends itself to the
revision's tag URL (probes).`,
		Example: `  # The main job, in a pipeline
  kn-lite deploy --no-traffic
  kn-lite rollout start --steps 10,50,100 --interval 1m --max-error-rate 1%

  # A certain revision of a service elsewhere, with a limit for its latency
  kn-lite rollout start -s hello v2 --max-p95 300ms

  # Nobody uses it yet: have requests sent to it
  kn-lite rollout start --signal probes --probe-path /healthz`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: completeServiceAndRevision(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Service, o.Revision, err = revisionArgs(o.Service, args); err != nil {
				return err
			}
			if err := o.parse(texts); err != nil {
				return err
			}
			return runner(f, runF, runRolloutStart)(cmd.Context(), o)
		},
	}
	o.add(cmd, texts)
	addServiceFlag(cmd, &o.Service)
	completeServiceFlag(f, cmd)
	return cmd
}

func (o *rolloutStartOptions) add(cmd *cobra.Command, texts *rolloutTexts) {
	o.changed = cmd.Flags().Changed
	flags, limits := cmd.Flags(), &o.Plan.Limits
	flags.SortFlags = false
	flags.StringVar(&texts.steps, "steps", "10,50,100", "shares of the revision in percent, `PCT,PCT,...`; the last one stays")
	flags.DurationVar(&o.Plan.Interval, "interval", o.Plan.Interval, "how long each step is watched at least")
	flags.DurationVar(&o.Plan.Patience, "patience", o.Plan.Patience, "how long a step may take to get its requests")
	flags.IntVar(&limits.MinRequests, "min-requests", limits.MinRequests, "answers of the revision that each step needs")
	flags.StringVar(&texts.errorRate, "max-error-rate", "1%", "most errors of the revision, as a `SHARE` of its requests")
	flags.StringVar(&texts.errorIncrease, "max-error-increase", "1%", "most errors beyond the stable revision's, as a `SHARE`; none: do not compare")
	flags.DurationVar(&limits.MaxP95, "max-p95", 0, "longest p95 of the revision, e.g. 300ms (default: no limit)")
	flags.StringVar(&texts.slowdown, "max-slowdown", "100%", "longest p95 beyond the stable revision's, as a `SHARE` of it; none: do not compare")
	flags.IntVar(&limits.MaxRestarts, "max-restarts", 0, "most restarts of the revision's containers")
	flags.StringVar(&o.Signal, "signal", string(app.SignalAuto), "where figures are from: "+signalNames())
	flags.StringVar(&o.Prometheus, "prometheus", "", "`URL` of a Prometheus server to ask for figures")
	flags.StringVar(&o.ProbePath, "probe-path", "/", "path of requests that this command sends itself")
	flags.StringVar(&o.Ingress, "ingress", "", "`HOST:PORT` where the service is reached (default: as invoke)")
	_ = cmd.RegisterFlagCompletionFunc("signal", cobra.FixedCompletions(strings.Split(signalNames(), ", "), cobra.ShellCompDirectiveNoFileComp))
}

func signalNames() string {
	var names []string
	for _, s := range app.Signals() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// parse reads the flags that are more than a number, and finds what contradicts itself
// before anybody is asked.
func (o *rolloutStartOptions) parse(texts *rolloutTexts) error {
	var err error
	if o.Plan.Steps, err = rollout.ParseSteps(texts.steps); err != nil {
		return flagError("steps", err)
	}
	limits := &o.Plan.Limits
	if limits.MaxErrorRate, err = rollout.ParseRate(texts.errorRate); err != nil {
		return flagError("max-error-rate", err)
	}
	if limits.MaxErrorIncrease, err = optionalRate(texts.errorIncrease, rollout.ParseRate); err != nil {
		return flagError("max-error-increase", err)
	}
	if limits.MaxSlowdown, err = optionalRate(texts.slowdown, rollout.ParseFactor); err != nil {
		return flagError("max-slowdown", err)
	}
	if !strings.Contains(", "+signalNames()+",", ", "+o.Signal+",") {
		return fault.Usagef("--signal %s: use one of %s", o.Signal, signalNames())
	}
	if !o.changed("patience") {
		o.Plan.Patience = max(o.Plan.Patience, 3*o.Plan.Interval)
	}
	return o.Plan.Check()
}

// optionalRate reads a share; none is no limit.
func optionalRate(text string, parse func(string) (float64, error)) (float64, error) {
	if text == "none" {
		return -1, nil
	}
	return parse(text)
}

func flagError(flag string, err error) error {
	return fault.Usagef("--%s: %w", flag, err).WithHint("%s", fault.HintOf(err))
}

func runRolloutStart(ctx context.Context, f *Factory, o *rolloutStartOptions) error {
	target, err := f.target(o.Service)
	if err != nil {
		return err
	}
	r := app.RolloutRequest{
		Target: target, Revision: o.Revision, Plan: o.Plan, Given: o.changed,
		Signal: app.Signal(o.Signal), Prometheus: o.Prometheus, ProbePath: o.ProbePath, Ingress: o.Ingress, Holder: who(f),
	}
	if f.Flags.Timeout > 0 {
		r.Deadline = f.Sys.Now().Add(f.Flags.Timeout)
	}
	done, err := f.App().StartRollout(ctx, r)
	if done == nil {
		return err
	}
	if err != nil && f.Flags.Output == "" {
		return err
	}
	if printed := printRollout(f, done); err == nil {
		return printed
	}
	return err
}

// stepText is "2/3 (50 %)".
func stepText(s *rollout.State) string {
	return fmt.Sprintf("%d/%d (%d %%)", s.Step+1, len(s.Plan.Steps), s.Share())
}
