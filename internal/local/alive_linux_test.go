package local

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// A process that has ended and waits for its parent does not run any more.
func TestAlive(t *testing.T) {
	if !Alive(os.Getpid()) {
		t.Error("this process does not run")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if !Alive(cmd.Process.Pid) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if Alive(cmd.Process.Pid) {
		t.Error("a process that has ended runs")
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if Alive(cmd.Process.Pid) {
		t.Error("a process that is gone runs")
	}
}
