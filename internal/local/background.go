package local

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

const (
	// startEvery is how often a platform in the background is looked at.
	startEvery = 5 * time.Millisecond
	// logEvery is how often its log is looked at.
	logEvery = 100 * time.Millisecond
)

// Background is a platform that outlives whoever starts it.
type Background struct {
	Place   Place
	Program string // is to call Up for this place
	Args    []string
	Env     []string
	// Differs returns what a platform that runs already has otherwise than is wanted,
	// "" for nothing.
	Differs func(*Info) string
}

// Start starts the platform and waits until it serves, or ctx ends. already is true
// where one runs that will do.
//
// Errors: Conflict when one runs that differs; that of Up, if the program has written
// it as JSON on the last line of its log: see failure.
func (b Background) Start(ctx context.Context) (info *Info, already bool, err error) {
	if err := b.Place.Make(); err != nil {
		return nil, false, err
	}
	// Of several that want it, one starts it, and the others wait for that one.
	lock, err := b.Place.LockStart(ctx)
	if err != nil {
		return nil, false, err
	}
	defer lock.Close()
	if info, err := b.Place.Settled(ctx); err != nil || info != nil {
		if err == nil {
			err = b.check(info)
		}
		return info, true, err
	}
	if err := b.Place.Make(); err != nil { // which a purge may have removed
		return nil, false, err
	}
	log, err := os.OpenFile(b.Place.Log(), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, fault.New(fault.Failure, "local.up", b.Place.Log(), "%w", err)
	}
	defer log.Close()
	// Not bound to ctx: it is to outlive this process.
	cmd := exec.Command(b.Program, b.Args...) //nolint:noctx // see above
	cmd.Env, cmd.Dir = b.Env, "/"
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, false, fault.New(fault.Failure, "local.up", b.Program, "%w", err)
	}
	info, err = b.await(ctx, cmd)
	return info, false, err
}

func (b Background) check(info *Info) error {
	differs := b.Differs(info)
	if differs == "" {
		return nil
	}
	return fault.New(fault.Conflict, "local.up", b.Place.Dir, "the platform runs already, as process %d, with another %s", info.PID, differs).
		WithHint("see `kn-lite local status`; `kn-lite local down` stops it")
}

// await waits until the platform that cmd is serves. One that does not in time is killed.
func (b Background) await(ctx context.Context, cmd *exec.Cmd) (*Info, error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
	}()
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			info, err := b.Place.Running()
			if err != nil || info != nil && info.PID == cmd.Process.Pid {
				return info, err
			}
		case <-ended:
			return nil, b.Place.failure(cmd.ProcessState)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), cmd.Process.Kill())
		}
	}
}

// failure is the error of a platform in the background that has ended: the one on the
// last line of its log.
func (p Place) failure(state *os.ProcessState) error {
	var last struct{ Reason, Message, Hint string }
	raw, err := regular.ReadFile(p.Log())
	said := strings.TrimSpace(string(raw))
	if err == nil && json.Unmarshal([]byte(said[strings.LastIndex(said, "\n")+1:]), &last) == nil && last.Message != "" {
		kind, _ := fault.KindNamed(last.Reason)
		return fault.New(kind, "local.up", "", "%s", last.Message).WithHint("%s", last.Hint)
	}
	return fault.New(fault.Failure, "local.up", "", "it ended at once: %s", state).WithHint("see `kn-lite local logs`")
}

// CopyLog copies the log of the platform in the background, and with follow what comes
// after it, until ctx or the platform ends.
func (p Place) CopyLog(ctx context.Context, follow bool, to io.Writer) error {
	log, err := regular.Open(p.Log())
	if err != nil {
		return fault.New(fault.NotFound, "local.logs", p.Log(), "there is none: only a platform in the background has one").WithHint("start it with `kn-lite local up -d`")
	}
	defer log.Close()
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		if _, err := io.Copy(to, log); err != nil {
			return err
		}
		if !follow {
			return nil
		}
		if info, err := p.Running(); err != nil || info == nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Stop asks the platform to end, and kills it when it has not once ctx ends: its
// instances end with it in any case.
func (i *Info) Stop(ctx context.Context) error {
	process, err := os.FindProcess(i.PID)
	if err != nil {
		return fault.New(fault.Failure, "local.down", "", "%w", err)
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return fault.New(fault.Failure, "local.down", "", "process %d: %w", i.PID, err)
	}
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if err := process.Kill(); err != nil {
				return fault.New(fault.Timeout, "local.down", "", "process %d does not end: %w", i.PID, err)
			}
			return fault.New(fault.Timeout, "local.down", "", "process %d did not end in time, and was killed", i.PID)
		}
		// The folder may belong to the next one by then.
		if !Alive(i.PID) {
			return nil
		}
	}
}
