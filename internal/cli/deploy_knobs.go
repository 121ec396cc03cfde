package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// knobFlags are settings of a service that deploy and plan take beside the image and
// its variables.
type knobFlags struct {
	Labels, Annotations []string
	Requests, Limits    []string
	ServiceAccount      string
	RequestTimeout      time.Duration
	ClusterLocal        bool

	Metric                      string
	Utilization                 float64
	Initial, Activation         int64
	DownDelay, Retention        time.Duration
	PanicWindow, PanicThreshold float64
}

func (k *knobFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&k.Metric, "scale-metric", "", "scale by `NAME`: concurrency, rps, cpu or memory")
	flags.Float64Var(&k.Utilization, "scale-utilization", 0, "aim at this `PERCENT` of the target")
	flags.Int64Var(&k.Initial, "scale-initial", 0, "start a revision with `N` pods")
	flags.Int64Var(&k.Activation, "scale-activation", 0, "run at least `N` pods when there is any traffic")
	flags.DurationVar(&k.DownDelay, "scale-down-delay", 0, "wait this long with fewer requests before pods are removed (up to 1h)")
	flags.DurationVar(&k.Retention, "scale-retention", 0, "leave the last pod this long without requests (up to 1h)")
	flags.Float64Var(&k.PanicWindow, "scale-panic-window", 0, "`PERCENT` of the window that a burst is seen in (1 to 100)")
	flags.Float64Var(&k.PanicThreshold, "scale-panic-threshold", 0, "`PERCENT` of the target that is a burst (110 to 1000)")
	flags.StringArrayVar(&k.Requests, "request", nil, "`NAME=QUANTITY` asks for cpu or memory, NAME- for none (repeatable)")
	flags.StringArrayVar(&k.Limits, "limit", nil, "`NAME=QUANTITY` bounds cpu or memory, NAME- lifts the bound (repeatable)")
	flags.DurationVar(&k.RequestTimeout, "request-timeout", 0, "give a request this long to be answered, in whole seconds")
	flags.StringVar(&k.ServiceAccount, "service-account", "", "run as the service account `NAME`")
	flags.BoolVar(&k.ClusterLocal, "cluster-local", false, "make it reachable inside of the cluster only; =false: from outside too")
	flags.StringArrayVar(&k.Labels, "label", nil, "`KEY=VALUE` sets a label of the service and its revisions, KEY- removes it (repeatable)")
	flags.StringArrayVar(&k.Annotations, "annotation", nil, "`KEY=VALUE` sets an annotation likewise, KEY- removes it (repeatable)")
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("scale-metric", cobra.FixedCompletions([]string{"concurrency", "rps", "cpu", "memory"}, cobra.ShellCompDirectiveNoFileComp))
}

// given returns what a flag says, nil when it is not on the command line.
func given[T any](changed func(string) bool, flag string, value T) *T {
	if !changed(flag) {
		return nil
	}
	return &value
}

// apply notes in s what the flags say. Knative's own rules for the values are
// checked with the whole service.
func (k *knobFlags) apply(s *deploy.Spec, changed func(string) bool) error {
	if changed("request-timeout") && (k.RequestTimeout < time.Second || k.RequestTimeout%time.Second != 0) {
		return fault.Usagef("--request-timeout %s: use whole seconds, at least one", k.RequestTimeout)
	}
	s.Scale.Metric, s.Scale.Utilization = k.Metric, given(changed, "scale-utilization", k.Utilization)
	s.Knobs = deploy.Knobs{
		ServiceAccount: k.ServiceAccount, RequestTimeout: k.RequestTimeout, ClusterLocal: given(changed, "cluster-local", k.ClusterLocal),
		Autoscaler: deploy.Autoscaler{
			Initial: given(changed, "scale-initial", k.Initial), Activation: given(changed, "scale-activation", k.Activation),
			DownDelay: given(changed, "scale-down-delay", k.DownDelay), Retention: given(changed, "scale-retention", k.Retention),
			PanicWindow: given(changed, "scale-panic-window", k.PanicWindow), PanicThreshold: given(changed, "scale-panic-threshold", k.PanicThreshold),
		},
	}
	var err error
	if s.Knobs.Labels, err = deploy.ParseLabels(k.Labels); err != nil {
		return err
	}
	if s.Knobs.Annotations, err = deploy.ParseAnnotations(k.Annotations); err != nil {
		return err
	}
	if s.Knobs.Requests, err = deploy.ParseResources("request", k.Requests); err != nil {
		return err
	}
	s.Knobs.Limits, err = deploy.ParseResources("limit", k.Limits)
	return err
}
