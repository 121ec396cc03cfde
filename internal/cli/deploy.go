package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

type deployOptions struct {
	buildFlags
	Dir      string
	Image    string // deploy this one, build nothing
	Service  string
	Revision string

	NoTraffic bool
	Traffic   string
	Tag       string

	Env              []string
	ScaleMin         int64
	ScaleMax         int64
	ScaleTarget      float64
	ScaleWindow      time.Duration
	ConcurrencyLimit int64
	Port             int32
	knobFlags
	changed  func(flag string) bool
	building []string // the flags that say how to build

	NoWait bool
	DryRun string
	Abort  bool

	Signed signedFlags
}

const deployLong = `Deploy takes the function in DIR (default: here) live: it builds the image,
pushes it, creates the Knative service or a new revision of it by the image's
digest, waits until that revision is ready, moves the traffic to it, and prints
the service's URL.

It is a transaction. Revisions are called SERVICE-v1, -v2 and so on. A new one
gets no request before it is ready. When it does not become ready, the former
template and split come back, nothing new is made of them, and the cause is told:
exit 3. When the deadline passes first, likewise: exit 8. When the traffic had
been moved and has to come back: exit 9. Deploying what is live already changes
nothing and says so. An interrupt undoes nothing; the same command goes on.

With --require-signed an image that is not signed by --verify-key is refused before
anything changes in the cluster: exit 6. What is deployed is the digest that was
verified, also for an image that is built and signed now.

With --image nothing is built; the reference is resolved to a digest. Settings
in func.yaml are applied, and flags rank above them. What a flag has set stays on
the service until it is changed, by a flag or by func.yaml. --timeout bounds the
wait (default 5m, or as long as a startup probe allows), not the build.

--dry-run=client prints the service and asks no cluster; it builds without
pushing, or takes --image as it stands. --dry-run=server has the API server
check it and prints what it would store.`

const deployExample = `  # Build, push, deploy, wait; the URL is the answer
  curl "$(kn-lite deploy)"

  # A second revision without traffic, at a URL of its own; then half of it
  kn-lite deploy --no-traffic --tag next
  kn-lite traffic split v1=50 v2=50

  # An image that is there already, with settings
  kn-lite deploy -s hello --image registry.example/team/hello:v3 --env LOG=debug --scale-min 1

  # A tenth of the traffic for the new revision
  kn-lite deploy --traffic 10

  # What would be written
  kn-lite deploy --dry-run=client -o yaml`

func newDeployCmd(f *Factory, runF func(context.Context, *deployOptions) error) *cobra.Command {
	o := &deployOptions{}
	cmd := &cobra.Command{
		Use:     "deploy [DIR]",
		Short:   "Build, push and take a function live, or bring the former state back",
		GroupID: groupStart,
		Long:    deployLong,
		Example: deployExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir, o.changed, o.building = dirArg(args), cmd.Flags().Changed, buildFlagNames(f)
			return runner(f, runF, runDeploy)(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.addWanted(f, cmd)
	flags.BoolVar(&o.NoWait, "no-wait", false, "do not wait; Knative moves the traffic once the revision is ready")
	flags.StringVar(&o.DryRun, "dry-run", "", "client: print the service; server: have the API server check it")
	flags.BoolVar(&o.Abort, "abort", false, "undo a deploy that was interrupted while it waited")
	o.addBuild(f, cmd)
	// The flag is registered above, so an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{"client", "server"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// addWanted gives cmd the flags that say what is to be live.
func (o *deployOptions) addWanted(f *Factory, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.Image, "image", "", "deploy this `REF` and build nothing")
	addServiceFlag(cmd, &o.Service)
	flags.StringVar(&o.Revision, "revision", "", "`NAME` of the new revision (default: SERVICE-vN, counted up)")
	flags.BoolVar(&o.NoTraffic, "no-traffic", false, "leave the traffic where it is")
	flags.StringVar(&o.Traffic, "traffic", "", "give the new revision this `PERCENT`, the others share the rest as they do now (default 100)")
	flags.StringVar(&o.Tag, "tag", "", "give the new revision a URL of its own under this `NAME`")
	flags.StringArrayVarP(&o.Env, "env", "e", nil, "`NAME=VALUE` sets a variable, NAME- removes it (repeatable)")
	addScaleFlags(flags, o)
	o.knobFlags.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("service", completeServices(f, 1)) // registered above
}

// addBuild gives cmd the flags that say how the image is built and who has to have
// signed it.
func (o *deployOptions) addBuild(f *Factory, cmd *cobra.Command) {
	o.Signed.add(cmd)
	o.buildFlags.add(cmd, f)
	addRegistryFlags(f, cmd)
}

func addScaleFlags(flags *pflag.FlagSet, o *deployOptions) {
	flags.Int64Var(&o.ScaleMin, "scale-min", 0, "keep at least `N` pods")
	flags.Int64Var(&o.ScaleMax, "scale-max", 0, "run at most `N` pods (0: no bound)")
	flags.Float64Var(&o.ScaleTarget, "scale-target", 0, "requests at a time that one pod is meant to bear")
	flags.DurationVar(&o.ScaleWindow, "scale-window", 0, "look at the last 6s to 1h when deciding on pods")
	flags.Int64Var(&o.ConcurrencyLimit, "concurrency-limit", 0, "requests at a time in one container at most (0: no bound)")
	flags.Int32Var(&o.Port, "port", 0, "port that the container listens on (default 8080)")
}

// spec reads the flags; everything that can be wrong with them is found here,
// before any work is done.
func (o *deployOptions) spec() (deploy.Spec, error) {
	s := deploy.Spec{Revision: o.Revision, Tag: o.Tag, Port: o.Port, Traffic: traffic.Shift{Keep: o.NoTraffic}}
	switch o.DryRun {
	case "", "client", "server":
	default:
		return s, fault.Usagef("--dry-run=%s: use client or server", o.DryRun)
	}
	for _, flag := range []string{"image", "service", "revision", "traffic", "tag"} {
		// An unset variable in a pipeline must not mean something else.
		if o.changed(flag) && map[string]string{"image": o.Image, "service": o.Service, "revision": o.Revision, "traffic": o.Traffic, "tag": o.Tag}[flag] == "" {
			return s, fault.Usagef("--%s: the value is empty", flag).WithHint("is a variable unset? Omit the flag for its default")
		}
	}
	if o.NoTraffic && o.Traffic != "" {
		return s, fault.Usagef("--no-traffic and --traffic %s: choose one", o.Traffic)
	}
	for _, flag := range o.building {
		if o.Image != "" && o.changed(flag) {
			return s, fault.Usagef("--%s and --image: choose one", flag).WithHint("--%s says how to build, and with --image nothing is built", flag)
		}
	}
	if o.Traffic != "" {
		percent, err := strconv.Atoi(strings.TrimSuffix(o.Traffic, "%"))
		if err != nil || percent < 1 || percent > 100 || o.Traffic[0] == '+' {
			return s, fault.Usagef("--traffic %s: use a whole number from 1 to 100", o.Traffic).WithHint("--no-traffic gives the new revision none")
		}
		s.Traffic = traffic.Shift{Partial: true, Share: percent}
	}
	if o.changed("port") && (o.Port < 1 || o.Port > 65535) {
		return s, fault.Usagef("--port %d: use a number from 1 to 65535", o.Port)
	}
	for flag, value := range map[string]int64{"scale-min": o.ScaleMin, "scale-max": o.ScaleMax, "concurrency-limit": o.ConcurrencyLimit} {
		if value < 0 {
			return s, fault.Usagef("--%s %d: must not be negative", flag, value)
		}
	}
	if o.ScaleMax > 0 && o.ScaleMin > o.ScaleMax {
		return s, fault.Usagef("--scale-min %d is more than --scale-max %d", o.ScaleMin, o.ScaleMax)
	}
	if o.changed("scale-min") {
		s.Scale.Min = &o.ScaleMin
	}
	if o.changed("scale-max") {
		s.Scale.Max = &o.ScaleMax
	}
	if o.changed("scale-target") {
		s.Scale.Target = &o.ScaleTarget
	}
	if o.changed("concurrency-limit") {
		s.ConcurrencyLimit = &o.ConcurrencyLimit
	}
	s.Scale.Window = o.ScaleWindow
	err := o.apply(&s, o.changed)
	if err != nil {
		return s, err
	}
	s.Env, err = deploy.ParseEnv(o.Env)
	return s, err
}

// request returns what the flags say.
func (o *deployOptions) request() (app.DeployRequest, error) {
	r := app.DeployRequest{Dir: o.Dir, NoWait: o.NoWait}
	var err error
	if r.Spec, err = o.spec(); err != nil {
		return r, err
	}
	r.Spec.Service, r.Spec.Image = o.Service, o.Image
	switch o.DryRun {
	case "client":
		r.DryRun = app.DryRunClient
	case "server":
		r.DryRun = app.DryRunServer
	}
	if r.Signed, err = o.Signed.policy(); err != nil {
		return r, err
	}
	r.Build, err = o.options()
	return r, err
}

func runDeploy(ctx context.Context, f *Factory, o *deployOptions) error {
	if o.Abort {
		return runAbort(ctx, f, o)
	}
	request, err := o.request()
	if err != nil {
		return err
	}
	request.Namespace, request.Timeout, request.NoCluster = f.Flags.Namespace, f.Flags.Timeout, offerLocal(f)
	result, err := f.App().Deploy(ctx, request)
	if err != nil {
		return err
	}
	if o.DryRun != "" {
		return printService(f, result.Service, result.Manifest)
	}
	return printDeploy(f, result)
}

func runAbort(ctx context.Context, f *Factory, o *deployOptions) error {
	ctx, cancel := f.withTimeout(ctx, readTimeout)
	defer cancel()
	done, err := f.App().Abort(ctx, app.AbortRequest{Service: o.Service, Dir: o.Dir, Namespace: f.Flags.Namespace})
	switch {
	case err != nil:
		return err
	case done.Replaced:
		f.IO.Step("the deploy of %s is given up; %s has been changed since and stays so; traffic: %s", done.Revision, done.Service, done.Split)
	default:
		f.IO.Step("%s is as it was before %s; traffic: %s", done.Service, done.Revision, done.Split)
	}
	return nil
}
