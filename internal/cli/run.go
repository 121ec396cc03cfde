package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/devrun"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// runPort is where a function listens when nothing else is said.
const runPort = 8080

// runStartBudget is after which a program that does not listen is worth a word.
const runStartBudget = 20 * time.Second

type runOptions struct {
	Dir  string
	Port int
	// ExactPort is a port that was asked for with the flag.
	ExactPort bool
	Env       []string // NAME=VALUE, or NAME- to unset it
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

func newRunCmd(f *Factory) *cobra.Command {
	o := &runOptions{}
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
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Dir = dirArg(args)
			o.ExactPort = cmd.Flags().Changed("port")
			return runRun(cmd.Context(), f, o)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Port, "port", 0, "`PORT` of localhost to answer at, 0 is any free one (default: the variable PORT, then 8080)")
	flags.StringArrayVarP(&o.Env, "env", "e", nil, "`NAME=VALUE` to set, or NAME- to leave it unset, over func.yaml's run.envs (repeatable)")
	return cmd
}

func runRun(ctx context.Context, f *Factory, o *runOptions) error {
	port, err := choosePort(f, o)
	if err != nil {
		return err
	}
	if err := checkRunEnv(o.Env); err != nil {
		return err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	project, err := app.FindProject(o.Dir)
	if err != nil {
		return err
	}
	source := &runSettings{factory: f, options: o, name: filepath.Base(dir), progress: progress.Once(f.IO.Progress())}
	budget := runStartBudget
	if project != nil {
		source.name = project.Name
		if b := project.StartBudget(); b > 0 {
			budget = b
		}
	}
	if _, _, err := source.read(); err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, 0)
	defer cancel()
	// A terminal that is closed ends it as Ctrl-C does.
	ctx, stopHup := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stopHup()
	force, stopForce := secondSignal(ctx)
	defer stopForce()

	stage, remove, err := devrun.NewStage(settings.CacheDir(f.Sys.Env), dir)
	if err != nil {
		return &fault.Error{Op: "run.stage", Subject: dir, Err: err}
	}
	listeners, at, err := devrun.Listen(ctx, port, o.ExactPort)
	if err != nil {
		return errors.Join(err, remove())
	}
	if at != port && port != 0 {
		f.IO.Note("port %d is taken: it will be %d", port, at)
	}
	port = at
	url := "http://localhost:" + strconv.Itoa(port)
	maker := devrun.NewMaker(devrun.Project{Dir: dir, Settings: source.read, Stage: stage})
	released := func() error { return nil }
	out := f.IO.Out
	if f.Flags.Output != "" && f.Flags.Output != "table" {
		out = f.IO.Err // stdout is the answer's
	}
	err = devrun.Run(ctx, devrun.Options{
		Maker: maker, Listeners: listeners, Port: port, Environ: app.WithoutSecrets(f.Sys.Vars), Out: f.IO.Beside(out), Err: f.IO.Beside(f.IO.Err),
		Report: f.IO.Progress(), Name: source.name, Now: f.Sys.Now, StartBudget: budget, Force: force,
		Fault: func(err error) { f.IO.Error(err.Error(), fault.HintOf(err)) },
		Served: func() (err error) {
			record := devrun.Record{Name: source.name, URL: url, PID: os.Getpid(), Dir: dir, Started: f.Sys.Now()}
			if released, err = saveRun(f, record); err != nil {
				return err
			}
			f.IO.Step("%s serves at %s; a saved file starts it again, Ctrl-C ends it", source.name, url)
			if out == f.IO.Out {
				return nil
			}
			return f.print(answer{
				Object: runAnswer{APIVersion: apiVersion, Kind: "Run", Name: record.Name, URL: url, Port: port, PID: record.PID, Dir: dir},
				Names:  []string{url},
			})
		},
	})
	return errors.Join(err, released(), maker.Close(), remove())
}

// choosePort returns where to listen: the flag, the variable PORT, 8080.
func choosePort(f *Factory, o *runOptions) (int, error) {
	port, from := o.Port, "--port "+strconv.Itoa(o.Port)
	if !o.ExactPort {
		port = runPort
		if text := f.Sys.Env("PORT"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				n = -1
			}
			port, from = n, "the variable PORT, "+text
		}
	}
	if port < 0 || port > 65535 {
		return 0, fault.Usagef("%s: a port is a number up to 65535", from)
	}
	return port, nil
}

func checkRunEnv(entries []string) error {
	for _, e := range entries {
		name, _, set := strings.Cut(e, "=")
		if !set {
			name, set = strings.CutSuffix(e, "-")
		}
		if !set || name == "" {
			return fault.Usagef("--env %s: use NAME=VALUE, or NAME- to leave it unset", e)
		}
	}
	return nil
}

// secondSignal is a context that ends with the second signal, of which ctx ends with
// the first.
func secondSignal(ctx context.Context) (force context.Context, stop func()) {
	force, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unset := context.AfterFunc(ctx, func() {
		again, release := signal.NotifyContext(force, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer release()
		<-again.Done()
		cancel()
	})
	return force, func() {
		unset()
		cancel()
	}
}

// saveRun lets invoke find the function. Without a place for it invoke does not.
func saveRun(f *Factory, record devrun.Record) (release func() error, err error) {
	dir := settings.StateDir(f.Sys.Env)
	if dir == "" {
		f.IO.Warn("`kn-lite invoke` will not find it: there is no place to say that it runs; set HOME, or XDG_STATE_HOME, to an absolute path")
		return func() error { return nil }, nil
	}
	release, err = record.Save(dir)
	if err != nil {
		f.IO.Warn("`kn-lite invoke` will not find it: %v", err)
		return func() error { return nil }, nil
	}
	return release, nil
}
