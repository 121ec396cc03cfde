package sandbox

import (
	"bytes"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// apart starts a process where neither the keys of this one's terminal nor a signal to
// its group reach it, and where there is no terminal to type into.
//
// A session of its own does that. But Linux shares out the processors by session
// (sched_autogroup): between a router and functions in other sessions it switches three
// times as often, and a request costs half as much again. So there is a new session
// only where this process has a terminal. From one that has none, nobody inherits any;
// a group of its own is enough.
func apart(attributes *syscall.SysProcAttr) {
	attributes.Setsid = hasTerminal()
	attributes.Setpgid = !attributes.Setsid
}

// hasTerminal reports whether this process has a controlling terminal, or may have one.
func hasTerminal() bool {
	raw, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return true
	}
	// proc(5): tty_nr is field 7, and the name in field 2 may have blanks.
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	return len(fields) < 5 || string(fields[4]) != "0"
}

// LeaveTerminal has this process give up its controlling terminal, so that the pods
// that it starts need no sessions of their own. It may still write there, and belongs
// to the group that Ctrl-C interrupts. One that leads its session keeps the terminal:
// all others of the session would lose it too.
func LeaveTerminal() {
	if session, err := unix.Getsid(0); err != nil || session == os.Getpid() {
		return
	}
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // there is none
	}
	_ = unix.IoctlSetInt(fd, unix.TIOCNOTTY, 0) // or pods have sessions
	_ = unix.Close(fd)
}
