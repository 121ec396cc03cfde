package cli

import (
	"context"
	"os/signal"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// runPort is where a function listens when nothing else is said.
const runPort = 8080

type runOptions struct {
	Dir  string
	Port int
	// ExactPort is a port that was asked for with the flag.
	ExactPort bool
	Env       []app.Variable
}

// runAnswer is what -o json shows, once the function answers.
type runAnswer struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	URL        string `json:"url"`
	Port       int    `json:"port"`
	PID        int    `json:"pid"` // of kn-lite run: a signal to it ends the function
	Dir        string `json:"dir"`
}

func newRunCmd(f *Factory, runF func(context.Context, *runOptions) error) *cobra.Command {
	o := &runOptions{}
	var variables []string
	cmd := &cobra.Command{
		Use:     "run [DIR]",
		Short:   "Run a function as a process of this machine, and again when a file is saved",
		GroupID: groupStart,
		Long: `Run starts the function in DIR (default: here) as a process of this machine, with
what its image would have: the same wrapper, the dependencies of the lock, the files
that .funcignore lets through, and the variables of func.yaml's run.envs. There is no
image, no cluster and no container; nothing is written to the project.

When a file is saved, the function is built and started again. The old program serves
until the new one listens, and goes on when the new one does not build or start.

Requests go to http://localhost:8080. Where that port is taken, the next free one is;
--port takes that port or none. kn-lite invoke in the same folder sends its request
there. Ctrl-C ends the function and all that it has started; a second one at once.

The program's output is on stdout and stderr as it is; with -o all of it is on stderr.`,
		Example: `  # In one terminal
  kn-lite func create hello -l node && cd hello
  kn-lite run

  # In another one
  kn-lite invoke --data '{"name": "Ada"}'

  # Another port and a variable of this run only
  kn-lite run --port 9090 -e LOG_LEVEL=debug`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeFolders,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = dirArg(args)
			var err error
			if o.Port, o.ExactPort, err = choosePort(o.Port, cmd.Flags().Changed("port"), f.Sys.Env("PORT")); err != nil {
				return err
			}
			if o.Env, err = parseVariables(variables); err != nil {
				return err
			}
			return runner(f, runF, runRun)(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Port, "port", 0, "`PORT` of localhost to answer at, 0 is any free one (default: the variable PORT, then 8080)")
	flags.StringArrayVarP(&variables, "env", "e", nil, "`NAME=VALUE` to set, or NAME- to leave it unset, over func.yaml's run.envs (repeatable)")
	return cmd
}

func runRun(ctx context.Context, f *Factory, o *runOptions) error {
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	// A terminal that is closed ends it as Ctrl-C does.
	ctx, stopHangup := signal.NotifyContext(ctx, hangup())
	defer stopHangup()
	force, stopForce := secondSignal(ctx)
	defer stopForce()
	out, table := f.IO.Out, f.Flags.Output == "" || f.Flags.Output == "table"
	if !table {
		out = f.IO.Err // stdout is the answer's
	}
	return f.App().Run(ctx, app.RunRequest{
		Dir: o.Dir, Port: o.Port, ExactPort: o.ExactPort, Variables: o.Env, AbsentHint: "for this run set variables with --env NAME=VALUE",
		Out: f.IO.Beside(out), Err: f.IO.Beside(f.IO.Err), Force: force,
		Fault: func(err error) { f.IO.Error(err.Error(), hintOf(err)) },
		Served: func(r app.Running) error {
			f.IO.Step("%s serves at %s; a saved file starts it again, Ctrl-C ends it", r.Name, r.URL)
			if table {
				return nil
			}
			return f.print(answer{Object: runAnswer{apiVersion, "Run", r.Name, r.URL, r.Port, r.PID, r.Dir}, Names: []string{r.URL}})
		},
	})
}

// choosePort returns where to listen: the flag, which is exact, the variable PORT, 8080.
func choosePort(flag int, given bool, variable string) (port int, exact bool, err error) {
	port, from := runPort, ""
	switch {
	case given:
		port, from = flag, "--port "+strconv.Itoa(flag)
	case variable != "":
		if port, err = strconv.Atoi(variable); err != nil {
			port = -1
		}
		from = "the variable PORT, " + variable
	}
	if port < 0 || port > 65535 {
		return 0, false, fault.Usagef("%s: a port is a number up to 65535", from)
	}
	return port, given, nil
}

// parseVariables reads the values of --env.
func parseVariables(entries []string) ([]app.Variable, error) {
	var out []app.Variable
	for _, e := range entries {
		v := app.Variable{}
		var ok bool
		if v.Name, v.Value, ok = strings.Cut(e, "="); !ok {
			v.Name, ok = strings.CutSuffix(e, "-")
			v.Unset = true
		}
		if !ok || v.Name == "" {
			return nil, fault.Usagef("--env %s: use NAME=VALUE, or NAME- to leave it unset", e)
		}
		out = append(out, v)
	}
	return out, nil
}
