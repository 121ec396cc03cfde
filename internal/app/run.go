package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kn-lite/kn-lite/internal/devrun"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/settings"
)

// runStartBudget is after which a program that does not listen is worth a word.
const runStartBudget = 20 * time.Second

// RunRequest asks for a function as a process of this machine.
type RunRequest struct {
	Dir       string // "" is the working folder
	Port      int    // of localhost; 0 is any free one
	ExactPort bool   // Port or none; otherwise the next free one will do
	Variables []Variable
	Out, Err  io.Writer // of the program

	Served func(Running) error // is called once, when the first program answers
	Fault  func(error)         // reports what the user has to mend; the run goes on
	// Force kills, with its end, what does not end by itself; nil is never.
	Force context.Context
	// AbsentHint is what a person does about a value that only a cluster has.
	AbsentHint string
}

// Variable is a variable of a process, over func.yaml's.
type Variable struct {
	Name, Value string
	Unset       bool
}

// Running is a function that runs.
type Running struct {
	Name string
	URL  string
	Port int
	PID  int    // a signal to it ends the function
	Dir  string // absolute
}

// Run runs a function and starts it again when one of its files is saved, until ctx
// is done.
func (a *App) Run(ctx context.Context, r RunRequest) error {
	r.Dir = cmp.Or(r.Dir, ".")
	dir, err := filepath.Abs(r.Dir)
	if err != nil {
		return err
	}
	project, err := FindProject(r.Dir)
	if err != nil {
		return err
	}
	source := &runSource{app: a, request: &r, name: filepath.Base(dir), progress: progress.Once(a.report())}
	budget := runStartBudget
	if project != nil {
		source.name = project.Name
		budget = cmp.Or(max(0, project.StartBudget()), budget)
	}
	if _, _, err := source.read(); err != nil {
		return err
	}
	stage, remove, err := devrun.NewStage(settings.CacheDir(a.Env), dir)
	if err != nil {
		return &fault.Error{Op: "run.stage", Subject: dir, Err: err}
	}
	listeners, port, err := devrun.Listen(ctx, r.Port, r.ExactPort)
	if err != nil {
		return errors.Join(err, remove())
	}
	if port != r.Port && r.Port != 0 {
		a.report().Note(fmt.Sprintf("port %d is taken: it will be %d", r.Port, port))
	}
	running := Running{Name: source.name, URL: "http://localhost:" + strconv.Itoa(port), Port: port, PID: os.Getpid(), Dir: dir}
	maker := devrun.NewMaker(devrun.Project{Dir: dir, Settings: source.read, Stage: stage})
	release := func() error { return nil }
	err = devrun.Run(ctx, devrun.Options{
		Maker: maker, Listeners: listeners, Port: port, Environ: WithoutSecrets(a.Vars), Out: r.Out, Err: r.Err,
		Report: a.report(), Name: source.name, Now: a.Now, StartBudget: budget, Force: r.Force, Fault: r.Fault,
		Served: func() error {
			release = a.saveRun(running)
			return r.Served(running)
		},
	})
	return errors.Join(err, release(), maker.Close(), remove())
}

// saveRun lets Invoke find the function. Without a place for it Invoke does not.
func (a *App) saveRun(r Running) (release func() error) {
	nothing := func() error { return nil }
	dir := settings.StateDir(a.Env)
	if dir == "" {
		a.report().Warn("`kn-lite invoke` will not find it: there is no place to say that it runs; set HOME, or XDG_STATE_HOME, to an absolute path")
		return nothing
	}
	record := devrun.Record{Name: r.Name, URL: r.URL, PID: r.PID, Dir: r.Dir, Started: a.Now()}
	release, err := record.Save(dir)
	if err != nil {
		a.report().Warn(fmt.Sprintf("`kn-lite invoke` will not find it: %v", err))
		return nothing
	}
	return release
}
