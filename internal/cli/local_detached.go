package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// localEvery is how often a platform that starts or stops is looked at.
const localEvery = 5 * time.Millisecond

// localDetached starts the platform in the background, with this command's own flags,
// and waits until it serves.
func localDetached(ctx context.Context, f *Factory, place local.Place, o *localUpOptions, ready func(*local.Info) error) error {
	if err := place.Make(); err != nil {
		return err
	}
	ctx, cancel := f.withTimeout(ctx, localUpTimeout)
	defer cancel()
	// Of several that want it, one starts it, and the others wait for that one.
	lock, err := place.LockStart(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if info, err := place.Settled(ctx); err != nil || info != nil {
		if err == nil {
			err = localRuns(f, info, o, ready)
		}
		return err
	}
	if err := place.Make(); err != nil { // which `local down --purge` may have removed
		return err
	}
	log, err := os.OpenFile(place.Log(), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fault.New(fault.Failure, "local.up", place.Log(), "%w", err)
	}
	defer log.Close()
	program, err := os.Executable()
	if err != nil {
		return fault.New(fault.Failure, "local.up", "", "%w", err)
	}
	args := o.foreground(f)
	// Not bound to ctx: it is to outlive this command.
	cmd := exec.Command(program, args...) //nolint:noctx // see above
	cmd.Env, cmd.Dir = f.Sys.Vars, "/"
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fault.New(fault.Failure, "local.up", program, "%w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
	}()
	tick := time.NewTicker(localEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			info, err := place.Running()
			if err != nil {
				return err
			}
			if info != nil && info.PID == cmd.Process.Pid {
				return ready(info)
			}
		case <-ended:
			return localFailed(f, place, cmd.ProcessState)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), cmd.Process.Kill())
		}
	}
}

// localRuns is the answer where a platform runs already: the same as of one that was
// started, unless it runs otherwise than is wanted.
func localRuns(f *Factory, info *local.Info, o *localUpOptions, ready func(*local.Info) error) error {
	if differs := o.differsFrom(info); differs != "" {
		return fault.New(fault.Conflict, "local.up", f.localPlace().Dir, "the platform runs already, as process %d, with another %s", info.PID, differs).
			WithHint("see `kn-lite local status`; `kn-lite local down` stops it")
	}
	f.IO.Note("it runs already")
	return ready(info)
}

// differsFrom returns the first flag that was given and does not hold for a platform.
func (o *localUpOptions) differsFrom(info *local.Info) string {
	port := func(address string) int {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(address, "https://"))
		number, _ := strconv.Atoi(port) // 0 is no port of a platform's
		return number
	}
	holds := map[string]bool{
		"port":       o.Port == 0 || o.Port == port(info.Address),
		"api-port":   o.APIPort == 0 || o.APIPort == port(info.API),
		"network":    o.Network == info.Network,
		"autoscaler": false, // it is not asked what it has
	}
	for _, flag := range slices.Sorted(maps.Keys(holds)) {
		if o.Given[flag] && !holds[flag] {
			return "--" + flag
		}
	}
	return ""
}

// foreground is the command line of the platform itself: its error is JSON, on the
// last line of the log.
func (o *localUpOptions) foreground(f *Factory) []string {
	args := []string{
		"local", "up", "--port", strconv.Itoa(o.Port), "--api-port", strconv.Itoa(o.APIPort), "--network", o.Network,
		"--output", "json", "--no-input", "--color", "never",
	}
	for _, key := range slices.Sorted(maps.Keys(o.Autoscaler)) {
		args = append(args, "--autoscaler", key+"="+o.Autoscaler[key])
	}
	if f.Flags.Kubeconfig != "" {
		args = append(args, "--kubeconfig", f.Flags.Kubeconfig)
	}
	if f.Flags.Verbose {
		args = append(args, "--verbose")
	}
	return args
}

// localFailed is the error of a platform in the background that has ended.
func localFailed(f *Factory, place local.Place, state *os.ProcessState) error {
	raw, err := regular.ReadFile(place.Log())
	said := strings.TrimSpace(string(raw))
	var failed errorReport
	if err == nil && json.Unmarshal([]byte(said[strings.LastIndex(said, "\n")+1:]), &failed) == nil && failed.Message != "" {
		return fault.New(kindOfExit(failed.ExitCode), "local.up", "", "%s", failed.Message).WithHint("%s", failed.Hint)
	}
	return fault.New(fault.Failure, "local.up", "", "it ended at once: %s", state).WithHint("see `kn-lite local logs`")
}

// copyLog copies the platform's log, and with follow what comes after it, until ctx
// or the platform ends.
func copyLog(ctx context.Context, place local.Place, follow bool, to io.Writer) error {
	log, err := regular.Open(place.Log())
	if err != nil {
		return fault.New(fault.NotFound, "local.logs", place.Log(), "there is none: only a platform in the background has one").WithHint("start it with `kn-lite local up -d`")
	}
	defer log.Close()
	tick := time.NewTicker(20 * localEvery)
	defer tick.Stop()
	for {
		if _, err := io.Copy(to, log); err != nil {
			return err
		}
		if !follow {
			return nil
		}
		if info, err := place.Running(); err != nil || info == nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
