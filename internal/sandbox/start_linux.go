package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// order is what the process inside is told, on its file descriptor 3.
type order struct {
	Root    string
	Stage   string          // an empty folder of the host to build mounts in
	Guest   string          `json:",omitempty"`
	Args    json.RawMessage `json:",omitempty"`
	Command *Command        `json:",omitempty"`
	Single  bool
	Shifted bool
	Highest int64    // id inside
	Overlay *Overlay `json:",omitempty"`
	Apart   bool     `json:",omitempty"`
	Then    *then    `json:",omitempty"`
	// Of a container.
	Groups         []uint32 `json:",omitempty"`
	ReadOnly       bool     `json:",omitempty"`
	NoNewPrivilege bool     `json:",omitempty"`
	Processes      int      `json:",omitempty"`
	Outside        bool     `json:",omitempty"`
	Memory         int64    `json:",omitempty"`

	places places
	apart  int // where Then is root
}

type then struct {
	Guest string
	Args  json.RawMessage
}

// answer is what it says on its file descriptor 4.
type answer struct {
	Reply json.RawMessage `json:",omitempty"`
	Then  json.RawMessage `json:",omitempty"`
	Error string          `json:",omitempty"`
	Usage bool            `json:",omitempty"` // Error is the user's mistake
	Full  bool            `json:",omitempty"` // Error is for want of disk space
	Exit  int             `json:",omitempty"` // of the Command
	// Memory says that it was ended because it had more memory than it may.
	Memory bool `json:",omitempty"`
}

// ExitError is a Command that ended with something else than 0.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// firstInherited is the first descriptor that is not one of ours: orders,
// answers and the lock of the box are before it.
const firstInherited = 6

// firstOfPod is the same for pods, which have a channel before it.
const firstOfPod = firstInherited + 1

const (
	argEnter     = "kn-lite-sandbox"
	argRemap     = "kn-lite-sandbox-remap"
	argPod       = "kn-lite-pod"
	argContainer = "kn-lite-container"
)

// Call does one thing inside and waits for it. A Command that fails is an
// *ExitError; everything that it started is gone when Call returns.
func (b *Box) Call(ctx context.Context, call Call) error {
	o := order{
		Root: call.Root, Stage: b.stage(), Guest: call.Guest, Command: call.Command, Overlay: call.Overlay, Apart: call.Apart,
		Single: b.ids.identity == Single, Shifted: b.ids.identity == Shifted, Highest: b.ids.highest(),
	}
	if call.Args != nil {
		raw, err := json.Marshal(call.Args)
		if err != nil {
			return err
		}
		o.Args = raw
	}
	if call.Then != nil {
		raw, err := json.Marshal(call.Then.Args)
		if err != nil {
			return err
		}
		o.Then = &then{call.Then.Guest, raw}
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return err
	}
	got, err := b.start(ctx, raw, call)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case got.Full:
		return b.diskFull(fault.New(fault.Failure, "sandbox.call", "", "%s", got.Error))
	case got.Error != "" && got.Usage:
		return fault.New(fault.Build, "sandbox.call", "", "%s", got.Error)
	case got.Error != "":
		return fault.New(fault.Failure, "sandbox.call", "", "%s", got.Error)
	case got.Exit != 0 && b.nearlyFull():
		return b.diskFull(fault.New(fault.Build, "sandbox.call", "", "%w", &ExitError{got.Exit}))
	case got.Exit != 0:
		return &ExitError{got.Exit}
	}
	if call.Then != nil {
		err = unmarshal(got.Then, call.Then.Reply)
	}
	return errors.Join(err, unmarshal(got.Reply, call.Reply))
}

func unmarshal(raw json.RawMessage, reply any) error {
	if reply == nil || len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, reply)
}

// start runs the process and reads its answer.
func (b *Box) start(ctx context.Context, raw []byte, call Call) (got answer, err error) {
	orders, ordersOut, err := os.Pipe()
	if err != nil {
		return got, err
	}
	defer ordersOut.Close()
	answersIn, answers, err := os.Pipe()
	if err != nil {
		return got, errors.Join(err, orders.Close())
	}
	defer answersIn.Close()

	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{argEnter}
	if b.ids.identity == Ranges {
		cmd.Args = []string{argRemap, argEnter}
	}
	cmd.Env = []string{}
	cmd.Dir = "/"
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = call.Out, call.Err
	if call.Command != nil {
		drain, err := b.connectOutput(cmd)
		if err != nil {
			return got, errors.Join(err, orders.Close(), answers.Close())
		}
		defer drain()
	}
	feed, err := feed(cmd, call.In)
	if err != nil {
		return got, errors.Join(err, orders.Close(), answers.Close())
	}
	defer func() { feed(ctx) }()
	if call.Err == nil {
		cmd.Stderr = &complaint
	}
	// Who holds the lock keeps others from the box: until all in it are dead.
	cmd.ExtraFiles = []*os.File{orders, answers, b.lock}
	cmd.WaitDelay = 2 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP,
		Pdeathsig: syscall.SIGKILL,
		Setsid:    true,
	}
	if call.Command != nil && call.Command.Isolated {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNET
	}
	b.ids.attributes(cmd.SysProcAttr)

	// The death signal is tied to the thread that makes the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	err = errors.Join(err, orders.Close(), answers.Close())
	if err != nil {
		if cmd.Process == nil {
			return got, refused(err)
		}
		return got, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	if b.ids.identity == Ranges {
		if err := b.ids.write(ctx, cmd.Process.Pid); err != nil {
			return got, errors.Join(&mapError{err}, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
		}
	}
	// A process that dies early shows in its answer, not in a broken pipe.
	_, _ = ordersOut.Write(append(raw, '\n'))
	_ = ordersOut.Close()
	said, readErr := io.ReadAll(io.LimitReader(answersIn, 64<<20))
	waitErr := cmd.Wait()
	if ctx.Err() != nil {
		return got, ctx.Err()
	}
	return readAnswer(said, complaint.String(), readErr, waitErr)
}

// readAnswer decodes what a process has answered before it ended.
func readAnswer(said []byte, complaint string, readErr, waitErr error) (got answer, err error) {
	if readErr == nil && json.Unmarshal(said, &got) == nil {
		// A Guest that has answered may leave input unread.
		if exit, ok := errors.AsType[*exec.ExitError](waitErr); waitErr == nil || ok && exit.ExitCode() >= 0 {
			return got, nil
		}
		if got.Error != "" {
			return got, nil
		}
		return got, waitErr
	}
	text := strings.TrimSpace(complaint)
	if len(text) > 2000 {
		text = text[:2000]
	}
	return got, fault.New(fault.Failure, "sandbox.call", "", "the process in the sandbox ended early: %w: %s", waitErr, text)
}

// feed connects in to cmd's standard input. The function that it returns is
// called when the process has ended, and waits for the last read of in unless
// ctx is done: an input that hangs must not hang an interrupt.
func feed(cmd *exec.Cmd, in io.Reader) (func(context.Context), error) {
	if _, ok := in.(*os.File); ok || in == nil {
		cmd.Stdin = in
		return func(context.Context) {}, nil
	}
	reader, writer, err := Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin = reader
	done := make(chan struct{})
	go func() {
		defer close(done)
		// A broken pipe is a Guest that has read enough.
		_, copyErr := io.Copy(writer, in)
		_ = errors.Join(copyErr, writer.Close())
	}()
	return func(ctx context.Context) {
		_ = reader.Close()
		select {
		case <-done:
		case <-ctx.Done():
		}
	}, nil
}

// mapError is newuidmap's refusal.
type mapError struct{ err error }

func (e *mapError) Error() string { return e.err.Error() }

func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}
