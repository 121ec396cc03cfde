// Package process names processes in a way that survives pid reuse: a pid alone
// may belong to a stranger by the time somebody wants to end it.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ID is a process as the host sees it. Start is field 22 of /proc/PID/stat
// (proc(5)): clock ticks between boot and the process's start. Two processes with
// the same pid never share it within one boot.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// Identify reads the identity of a process that runs now.
func Identify(pid int) (ID, error) {
	start, _, err := readStat(pid)
	if err != nil {
		return ID{}, err
	}
	return ID{PID: pid, Start: start}, nil
}

// Alive reports whether exactly this process still runs. A zombie does not: it
// holds nothing any more and only waits for its parent.
func (id ID) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	start, state, err := readStat(id.PID)
	return err == nil && start == id.Start && state != 'Z' && state != 'X'
}

// Signal sends sig to this process and to no other: a recycled pid is left alone.
// A process that is gone already is no error.
func (id ID) Signal(sig syscall.Signal) error {
	if !id.Alive() {
		return nil
	}
	if err := syscall.Kill(id.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %v to pid %d: %w", sig, id.PID, err)
	}
	return nil
}

// WaitGone returns when the process has ended, or with the context's error.
func (id ID) WaitGone(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for id.Alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("pid %d still runs: %w", id.PID, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// BootID identifies the running boot of the kernel; identities recorded under
// another boot id name nothing any more.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

func readStat(pid int) (start uint64, state byte, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseStat(string(b))
}

// parseStat reads state and start time from the text of /proc/PID/stat. The
// second field is the command in parentheses and may itself hold spaces and
// parentheses, so fields are counted from the last closing one.
func parseStat(text string) (start uint64, state byte, err error) {
	close := strings.LastIndexByte(text, ')')
	if close < 0 {
		return 0, 0, fmt.Errorf("stat line without a command: %q", text)
	}
	fields := strings.Fields(text[close+1:])
	const stateField, startField = 3 - 3, 22 - 3
	if len(fields) <= startField || len(fields[stateField]) != 1 {
		return 0, 0, fmt.Errorf("stat line of %d fields: %q", len(fields)+2, text)
	}
	start, err = strconv.ParseUint(fields[startField], 10, 64)
	return start, fields[stateField][0], err
}
