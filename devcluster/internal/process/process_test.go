package process

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tail := " 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1000 1 18446744073709551615"
	for _, tc := range []struct {
		name, text string
		start      uint64
		state      byte
		wantErr    bool
	}{
		{"plain", "7 (etcd) S" + tail, 98765, 'S', false},
		{"spaces and parentheses in the command", "7 (a) R 9 (b) Z" + tail, 98765, 'Z', false},
		{"no command", "7 etcd S", 0, 0, true},
		{"cut short", "7 (etcd) S 1 1", 0, 0, true},
		{"empty", "", 0, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start, state, err := parseStat(tc.text)
			if (err != nil) != tc.wantErr {
				t.Fatalf("error = %v, want error: %t", err, tc.wantErr)
			}
			if err == nil && (start != tc.start || state != tc.state) {
				t.Errorf("got %d %c, want %d %c", start, state, tc.start, tc.state)
			}
		})
	}
}

func TestRecycledPIDIsNotTouched(t *testing.T) {
	cmd := exec.Command("sleep", "30")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	stranger := ID{PID: id.PID, Start: id.Start + 1}
	if stranger.Alive() {
		t.Error("a process with another start time counts as alive")
	}
	if err := stranger.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !id.Alive() {
		t.Fatal("the signal reached a process that only shares the pid")
	}

	if err := id.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	// Nobody has waited for the child yet: it is a zombie, and that counts as gone.
	if err := id.WaitGone(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestWaitGoneReportsTheDeadline(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := self.WaitGone(ctx); err == nil {
		t.Error("waiting for ourselves to end succeeded")
	}
}
