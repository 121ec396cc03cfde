package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/machine"
	"github.com/kn-lite/kn-lite/devcluster/internal/node"
	"github.com/kn-lite/kn-lite/devcluster/internal/process"
	"github.com/kn-lite/kn-lite/devcluster/internal/state"
)

// searchPath is what components find their helpers in (runc, iptables, mount).
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// starter starts components in a machine and keeps the record of them.
type starter struct {
	mu      sync.Mutex
	record  *state.Record
	machine machine.Machine
	now     func() time.Time
	// died is called when a component ends while this process still watches.
	died func(error)
}

// start starts c, unless the record says that it runs, and records it. files become
// its descriptors from 3 on.
func (s *starter) start(c node.Component, files ...*os.File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.record.Component(c.Name); ok && old.ID.Alive() {
		return nil
	}
	log, err := openLog(s.record, c.Name)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env = append([]string{"PATH=" + searchPath, "HOME=/root"}, c.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.machine.Start(cmd); err != nil {
		return &fault.Error{Op: "start", Subject: c.Name, Err: err}
	}
	id, err := process.Identify(cmd.Process.Pid)
	if err != nil {
		return &fault.Error{Op: "start", Subject: c.Name, Err: err}
	}
	s.record.Started(state.Component{Name: c.Name, ID: id, Since: s.now()})
	if err := s.record.Save(); err != nil {
		return err
	}
	go func() {
		err := cmd.Wait()
		s.died(&fault.Error{
			Op: "run", Subject: c.Name, Err: fmt.Errorf("it ended: %w%s", endError(err), lastLines(s.record, c.Name, 8)),
			Hint: "its whole log: devcluster logs --name " + s.record.Instance.Name + " " + c.Name,
		})
	}()
	return nil
}

func endError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// save changes the record under the lock that start uses.
func (s *starter) save(change func(*state.Record)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.record)
	return s.record.Save()
}

// LogFile is where a component's output goes.
func LogFile(r *state.Record, component string) string {
	return r.Instance.Path("logs", component+".log")
}

func openLog(r *state.Record, component string) (*os.File, error) {
	path := LogFile(r, component)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
}

// lastLines returns the end of a component's log, each line on a line of its own
// and indented, or "" when there is nothing.
func lastLines(r *state.Record, component string, n int) string {
	f, err := os.Open(LogFile(r, component))
	if err != nil {
		return ""
	}
	defer f.Close()
	const tail = 16 << 10
	if info, err := f.Stat(); err == nil && info.Size() > tail {
		_, _ = f.Seek(-tail, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	lines := strings.Split(string(bytes.TrimSpace(b)), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	var out strings.Builder
	for _, l := range lines {
		if l != "" {
			out.WriteString("\n    " + l)
		}
	}
	return out.String()
}

// prober asks components for their health from outside the machine.
type prober struct {
	machine machine.Machine
	http    *http.Client
}

func newProber(m machine.Machine) prober {
	return prober{machine: m, http: &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			DialContext:       m.Dial,
			DisableKeepAlives: true,
			// A probe asks whether a program works; who it is, its pid already says.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		},
	}}
}

func (p prober) ask(ctx context.Context, probe node.Probe) error {
	if probe.Socket != "" {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", p.machine.Path(probe.Socket))
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, probe.URL, nil)
	if err != nil {
		return err
	}
	res, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 200))
	// Being refused is not health: the API server refuses anonymous questions until it
	// has laid down its first roles, and whoever starts before that is refused too and
	// backs off for seconds.
	if res.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("%s: %s: %s", probe.URL, res.Status, strings.TrimSpace(string(body)))
}

// healthy waits until a component says that it works.
func (p prober) healthy(ctx context.Context, c node.Component) error {
	if err := until(ctx, 50*time.Millisecond, func(ctx context.Context) error { return p.ask(ctx, c.Probe) }); err != nil {
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			return err
		}
		return &fault.Error{Op: "wait for", Subject: c.Name, Err: err}
	}
	return nil
}
