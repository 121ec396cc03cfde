package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// The Guests that every program has.
const (
	guestEmpty = "empty" // removes all files
	guestOwn   = "own"   // ownArgs: changes the root folder itself
)

type ownArgs struct {
	Mode     uint32
	UID, GID int
}

func own(raw json.RawMessage, _ io.Reader, _ io.Writer) (any, error) {
	var args ownArgs
	if err := json.Unmarshal(raw, &args); err != nil {
		return nil, err
	}
	return nil, errors.Join(os.Chown("/", args.UID, args.GID), unix.Chmod("/", args.Mode))
}

// Inside is called first of all by main. When the process was started by a Box
// it does what it was told and returns the process's exit code; otherwise ours
// is false. in and out are the process's own streams.
func Inside(args []string, in io.Reader, out io.Writer, guests map[string]Guest) (code int, ours bool) {
	if len(args) == 0 || !slices.Contains([]string{argEnter, argRemap, argPod, argContainer, argPlain}, args[0]) {
		return 0, false
	}
	// Capabilities and filters belong to threads: everything happens on this one.
	runtime.LockOSThread()
	orders, answers := os.NewFile(3, "orders"), os.NewFile(4, "answers")
	if os.Getpid() != 1 && args[0] != argPlain || orders == nil || answers == nil {
		return 125, true // somebody typed the name
	}
	last := firstInherited
	switch {
	case args[0] == argRemap && len(args) == 2:
		return remap(orders, args[1]), true
	case args[0] == argPod || args[0] == argContainer || args[0] == argPlain:
		last = firstOfPod
	case args[0] != argEnter:
		return 125, true
	}
	for fd := range last {
		if fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	if last == firstOfPod {
		return insidePod(args[0], orders, answers), true
	}
	got := guarded(orders, in, out, guests)
	raw, err := json.Marshal(got)
	if err == nil {
		_, err = answers.Write(raw)
	}
	if err != nil {
		return 125, true
	}
	return 0, true
}

// guarded is serve with a panic as its answer.
func guarded(orders *os.File, in io.Reader, out io.Writer, guests map[string]Guest) (got answer) {
	var err error
	defer func() {
		if err != nil {
			got = answer{Error: err.Error() + "\n" + fault.HintOf(err)}
		}
	}()
	defer fault.Catch(&err)
	return serve(orders, in, out, guests)
}

// remap waits for the first byte of the order, by when newuidmap has made this
// process uid 0, and starts over: executing as uid 0 brings the capabilities.
func remap(orders *os.File, as string) int {
	poll := []unix.PollFd{{Fd: int32(orders.Fd()), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, -1); err == nil {
			break
		} else if !errors.Is(err, unix.EINTR) {
			return 125
		}
	}
	_ = unix.Exec("/proc/self/exe", []string{as}, nil)
	return 125
}

func serve(orders *os.File, in io.Reader, out io.Writer, guests map[string]Guest) (got answer) {
	fail := func(err error) answer {
		full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
		return answer{Error: err.Error(), Usage: fault.KindOf(err) == fault.Build, Full: full}
	}
	var o order
	line, err := bufio.NewReader(orders).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		return fail(fmt.Errorf("no order: %w", err))
	}
	err = harden("build", firstInherited)
	for _, step := range []func() error{o.reach, o.becomeRoot} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return fail(err)
	}
	if o.Command != nil {
		code, err := o.command(out, func() (err error) {
			got.Reply, err = guest(o.Guest, o.Args, in, out, guests)
			return err
		})
		if err != nil {
			return fail(err)
		}
		got.Exit = code
		return got
	}
	before := func() error { return nil }
	if o.Then != nil {
		before = o.setApart
	}
	if err := o.enter(before, func() error { return nil }); err != nil {
		return fail(err)
	}
	if got.Reply, err = guest(o.Guest, o.Args, in, out, guests); err != nil {
		return fail(err)
	}
	if o.Then == nil {
		return got
	}
	if err := o.enterApart(); err != nil {
		return fail(err)
	}
	if got.Then, err = guest(o.Then.Guest, o.Then.Args, nil, out, guests); err != nil {
		return fail(err)
	}
	return got
}

// guest runs a function by its name, and returns its reply.
func guest(name string, args json.RawMessage, in io.Reader, out io.Writer, guests map[string]Guest) (json.RawMessage, error) {
	guest := guests[name]
	switch {
	case name == "":
		return nil, nil
	case name == guestEmpty:
		guest = empty
	case name == guestProbe:
		guest = func(json.RawMessage, io.Reader, io.Writer) (any, error) { return nil, probeOverlay() }
	case name == guestProbeApart:
		guest = func(json.RawMessage, io.Reader, io.Writer) (any, error) { return nil, probeApart() }
	case name == guestOwn:
		guest = own
	case guest == nil:
		return nil, fmt.Errorf("there is no guest %q", name)
	}
	reply, err := guest(args, in, out)
	if err != nil {
		return nil, err
	}
	return json.Marshal(reply)
}

// harden cuts what the process has inherited: death with its parent, file
// descriptors of whoever started the parent, the session's keys, groups. The
// descriptors from first on are not ours.
func harden(hostname string, first int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("death signal: %w", err)
	}
	// Nobody inside may look into this process, whose binary is the host's.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("not dumpable: %w", err)
	}
	if err := unix.CloseRange(uint(first), 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close inherited files (needs Linux 5.11): %w", err)
	}
	if err := closeInherited(first); err != nil {
		return err
	}
	// Kernels without keys have none to hide.
	_, _ = unix.KeyctlJoinSessionKeyring("")
	unix.Umask(0o022)
	if hostname == "" {
		return nil // it is the pod's
	}
	return unix.Sethostname([]byte(hostname))
}

// becomeRoot makes this process root inside. It was that already where root
// inside is the user outside.
func (o *order) becomeRoot() error {
	if o.Single {
		return nil
	}
	if err := unix.Setgroups(nil); err != nil {
		return fmt.Errorf("give up groups: %w", err)
	}
	if err := errors.Join(unix.Setresgid(0, 0, 0), unix.Setresuid(0, 0, 0)); err != nil {
		return fmt.Errorf("become root inside: %w", err)
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("give up ambient capabilities: %w", err)
	}
	// Changing ids clears it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("death signal: %w", err)
	}
	return nil
}

// closeInherited closes what was left open by whoever started the parent. The
// anonymous files are the Go runtime's own.
func closeInherited(first int) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd < first {
			continue
		}
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(target, "anon_inode:") {
			_ = unix.Close(fd) // the listing's own is closed already
		}
	}
	return nil
}

// empty removes everything below the root.
func empty(json.RawMessage, io.Reader, io.Writer) (any, error) {
	entries, err := os.ReadDir("/")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join("/", e.Name())); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
