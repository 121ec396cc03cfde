// Package buildkit runs a buildkit daemon for the time of a test: the reference
// for what a Dockerfile means. It needs root, runc, and the programs that `make
// buildkit` compiles.
package buildkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Daemon is a buildkit daemon with all of its state in one folder.
type Daemon struct {
	dir, control string
	cmd          *exec.Cmd
	exited       chan error
	log          string
}

// Start starts bin/buildkitd with its state in dir, which has to be empty, and
// returns when it answers. Registries are host:port of loopback, spoken to in
// plain HTTP.
func Start(ctx context.Context, bin, dir string, registries ...string) (*Daemon, error) {
	if _, err := exec.LookPath("runc"); err != nil {
		return nil, errors.New("no runc for buildkit: apt-get install runc")
	}
	d := &Daemon{dir: dir, control: filepath.Join(bin, "buildctl"), exited: make(chan error, 1), log: filepath.Join(dir, "log")}
	var config bytes.Buffer
	for _, host := range registries {
		fmt.Fprintf(&config, "[registry.%q]\n  http = true\n  insecure = true\n", host)
	}
	settings := filepath.Join(dir, "buildkitd.toml")
	if err := os.WriteFile(settings, config.Bytes(), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	d.cmd = exec.Command(filepath.Join(bin, "buildkitd"), "--config", settings, "--root", filepath.Join(dir, "root"), "--addr", d.address(),
		"--containerd-worker=false", "--oci-worker=true", "--oci-worker-binary=runc", "--oci-worker-net=host", "--oci-worker-gc=false")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// What it mounts is seen by nobody else and ends with it, however it ends.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setpgid: true}
	err = d.cmd.Start()
	if err = errors.Join(err, log.Close()); err != nil {
		return nil, fmt.Errorf("buildkitd: %w; `make buildkit` compiles it", err)
	}
	go func() { d.exited <- d.cmd.Wait() }()
	if err := d.waitUntilReady(ctx); err != nil {
		said, _ := os.ReadFile(d.log)
		return nil, fmt.Errorf("buildkitd: %w\n%s", errors.Join(err, d.Close()), said)
	}
	return d, nil
}

func (d *Daemon) address() string { return "unix://" + filepath.Join(d.dir, "sock") }

func (d *Daemon) waitUntilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if exec.CommandContext(ctx, d.control, "--addr", d.address(), "debug", "workers").Run() == nil {
			return nil
		}
		select {
		case err := <-d.exited:
			d.exited <- err
			return fmt.Errorf("it has ended: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// PID returns the process id of the daemon.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Close ends the daemon and waits for it.
func (d *Daemon) Close() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-d.exited:
		return ignoreSignal(err)
	case <-time.After(20 * time.Second):
	}
	// Its children are in its group.
	err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	<-d.exited
	return errors.Join(errors.New("buildkitd did not end when asked to"), err)
}

// ignoreSignal makes the exit that Close has asked for no error.
func ignoreSignal(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGTERM || exit.ExitCode() == 1 {
			return nil
		}
	}
	return err
}

// Command is buildctl with arguments, talking to this daemon.
func (d *Daemon) Command(args ...string) []string {
	return append([]string{d.control, "--addr", d.address()}, args...)
}

// Build is the command that builds file with the context folder as `docker build`
// does; output is an exporter with its options, for example type=oci,dest=FILE.
func (d *Daemon) Build(folder, file, output string, options ...string) []string {
	args := d.Command("build", "--progress", "plain", "--frontend", "dockerfile.v0",
		"--local", "context="+folder, "--local", "dockerfile="+filepath.Dir(file), "--opt", "filename="+filepath.Base(file))
	for _, option := range options {
		args = append(args, "--opt", option)
	}
	return append(args, "--output", output)
}
