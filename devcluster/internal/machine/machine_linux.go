package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/devcluster/internal/process"
)

// initNamespaces are the ones that a machine has for itself.
const initNamespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNS

// Machine is a running one, named by its init.
type Machine struct {
	Init process.ID `json:"init"`
	// PIDNamespace is the inode that /proc/PID/ns/pid shows for everything inside.
	PIDNamespace uint64 `json:"pidNamespace"`
}

// Boot starts cmd, which must call Init, as the first process of new namespaces,
// hands it setup and returns when the machine is ready for processes. record is
// called as soon as the machine has a name, before anything is made in it: if this
// process dies in between, the init notices and ends by itself.
func Boot(ctx context.Context, cmd *exec.Cmd, setup Setup, record func(Machine) error) (Machine, error) {
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: initNamespaces}
	in, err := cmd.StdinPipe()
	if err != nil {
		return Machine{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Machine{}, err
	}
	if err := cmd.Start(); err != nil {
		return Machine{}, fmt.Errorf("make namespaces: %w", err)
	}
	abandon := func(err error) (Machine, error) {
		return Machine{}, errors.Join(err, cmd.Process.Kill(), ignoreExit(cmd.Wait()))
	}
	id, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		return abandon(err)
	}
	space, err := pidNamespace(id.PID)
	if err != nil {
		return abandon(err)
	}
	m := Machine{Init: id, PIDNamespace: space}
	if err := record(m); err != nil {
		return abandon(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := errors.Join(json.NewEncoder(in).Encode(setup), in.Close()); err != nil {
		return abandon(err)
	}
	answer, err := bufio.NewReader(out).ReadString('\n')
	switch answer = strings.TrimSpace(answer); {
	case ctx.Err() != nil:
		return abandon(ctx.Err())
	case err != nil:
		return abandon(fmt.Errorf("the machine's init ended without an answer: %w", err))
	case answer != "":
		return abandon(errors.New(answer))
	}
	// Reaps the init if it dies while this process is still there.
	go func() { _ = cmd.Wait() }()
	return m, nil
}

func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// Alive reports whether the machine's init runs.
func (m Machine) Alive() bool { return m.Init.Alive() }

// Halt kills the init; the kernel then kills everything else inside. It returns
// when nothing is left, or with the context's error.
func (m Machine) Halt(ctx context.Context) error {
	if err := m.Init.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := m.Init.WaitGone(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for left := m.Processes(); len(left) > 0; left = m.Processes() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("pids %v outlive the machine: %w", left, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// Processes lists the host's pids of everything inside the machine.
func (m Machine) Processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil || m.PIDNamespace == 0 {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if space, err := pidNamespace(pid); err == nil && space == m.PIDNamespace {
			pids = append(pids, pid)
		}
	}
	return pids
}

func pidNamespace(pid int) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/pid", pid), &st); err != nil {
		return 0, fmt.Errorf("pid namespace of %d: %w", pid, err)
	}
	return st.Ino, nil
}

// Start starts cmd inside the machine. The caller waits for it as for any child;
// once the caller is gone the machine's init does.
func (m Machine) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	return m.inside([]string{"ipc", "uts", "net", "pid", "mnt"}, cmd.Start)
}

// Dial connects to an address inside the machine's network.
func (m Machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := m.inside([]string{"net"}, func() error {
		var dialer net.Dialer
		var err error
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Path returns the host's view of a path inside the machine.
func (m Machine) Path(inside string) string {
	return fmt.Sprintf("/proc/%d/root%s", m.Init.PID, inside)
}

// inside runs do on a thread of its own that has entered the named namespaces of
// the init. The thread is never given back to the scheduler: it ends with do.
func (m Machine) inside(spaces []string, do func() error) error {
	if !m.Alive() {
		return errors.New("the machine is not running")
	}
	// The thread is not handed back and ends with the goroutine; only the process's first one cannot end. If it was
	// that one, /proc/self is the machine's from now on: ask /proc/thread-self about the host.
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- func() error {
			var files []*os.File
			defer func() {
				for _, f := range files {
					_ = f.Close()
				}
			}()
			for _, s := range spaces {
				f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", m.Init.PID, s))
				if err != nil {
					return err
				}
				files = append(files, f)
			}
			// A thread that shares its root and working directory may not change mounts.
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare: %w", err)
			}
			for i, f := range files {
				if err := unix.Setns(int(f.Fd()), 0); err != nil {
					return fmt.Errorf("enter the machine's %s namespace: %w", spaces[i], err)
				}
			}
			return do()
		}()
	}()
	return <-result
}
