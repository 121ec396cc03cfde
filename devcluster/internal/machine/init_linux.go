package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Init is the life of the machine's first process. It reads a Setup from in,
// carries it out in the namespaces it was born into, answers on out with an empty
// line or the reason why not, and then reaps orphans until it is killed.
func Init(in io.Reader, out io.WriteCloser) error {
	if os.Getpid() != 1 {
		return errors.New("init: not the first process of a pid namespace")
	}
	// A terminal's hang-up or interrupt is for `up`, never for a running machine.
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGPIPE)
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, unix.SIGCHLD)

	var setup Setup
	err := json.NewDecoder(in).Decode(&setup)
	if err == nil {
		err = setup.apply()
	}
	answer := ""
	if err != nil {
		answer = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	_, werr := fmt.Fprintln(out, answer)
	if err := errors.Join(err, werr, out.Close()); err != nil {
		return err
	}
	for range orphans {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
	}
	return nil
}

func (s Setup) apply() error {
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := s.mounts(); err != nil {
		return err
	}
	if err := s.network(); err != nil {
		return err
	}
	// A firewall tool that cannot list the nat table here cannot carry a service either.
	if b, err := exec.Command("iptables", "-w", "5", "-t", "nat", "-S").CombinedOutput(); err != nil {
		return fmt.Errorf("iptables -t nat -S: %w: %s", err, strings.TrimSpace(string(b)))
	}
	return nil
}

// mounts builds the machine's view of the file system. Nothing of it reaches the
// host: propagation is cut first.
func (s Setup) mounts() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	// /run is built aside and moved into place, so that sources below the host's
	// own /run stay reachable while it is built.
	run := filepath.Join(s.Folder, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return err
	}
	if err := mount("tmpfs", run, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	in := func(target string) string { return filepath.Join(run, strings.TrimPrefix(target, "/run/")) }
	for _, b := range append([]Bind{{Source: s.Folder, Target: Root}}, s.Binds...) {
		if err := os.MkdirAll(in(b.Target), 0o755); err != nil {
			return err
		}
		if err := mount(b.Source, in(b.Target), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	var overRun []string
	for path := range s.Files {
		// On systemd machines /etc/resolv.conf points into /run.
		if real, err := filepath.EvalSymlinks(path); err == nil && strings.HasPrefix(real, "/run/") {
			overRun = append(overRun, real)
		}
	}
	for _, dir := range []string{"lock", "overlay/upper", "overlay/work", "files"} {
		if err := os.MkdirAll(filepath.Join(run, dir), 0o755); err != nil {
			return err
		}
	}
	for _, file := range overRun {
		if err := os.MkdirAll(filepath.Dir(in(file)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(in(file), nil, 0o644); err != nil {
			return err
		}
	}
	if err := mount(run, "/run", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	// kubelet, CNI and containerd have paths below /var that no setting moves
	// (device plugins, the CNI result cache, /var/log/containers).
	if err := mount("overlay", "/var", "overlay", 0, "lowerdir=/var,upperdir=/run/overlay/upper,workdir=/run/overlay/work"); err != nil {
		return err
	}
	for path, text := range s.Files {
		if err := cover(path, text); err != nil {
			return err
		}
	}
	for name, value := range s.Pretend {
		path := sysctlPath(name)
		have, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || strings.TrimSpace(string(have)) == value {
			continue
		}
		if err := cover(path, value+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// cover lays a file with the given text over path.
func cover(path, text string) error {
	f, err := os.CreateTemp("/run/files", filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, werr := f.WriteString(text)
	if err := errors.Join(werr, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return mount(f.Name(), path, "", unix.MS_BIND, "")
}

func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s %s on %s: %w", fstype, source, target, err)
	}
	return nil
}

func (s Setup) network() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	// A bridge, since not every kernel has dummy devices; it never gets a port.
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: s.Bridge}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge %s: %w", s.Bridge, err)
	}
	address, err := netlink.ParseAddr(s.Address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return fmt.Errorf("give %s to %s: %w", s.Address, s.Bridge, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("bring %s up: %w", s.Bridge, err)
	}
	for _, r := range s.Routes {
		to, err := netlink.ParseIPNet(r)
		if err != nil {
			return err
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: to, Scope: netlink.SCOPE_LINK}); err != nil {
			return fmt.Errorf("route %s to %s: %w", r, s.Bridge, err)
		}
	}
	for name, value := range s.Sysctls {
		if err := os.WriteFile(sysctlPath(name), []byte(value), 0o644); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}
