// Package debian installs the programs a devcluster borrows from the distribution.
package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

// Program is something that must be there, and the package that brings it.
type Program struct {
	// Name is looked for in Dirs, or in PATH when there are none.
	Name    string
	Dirs    []string
	Package string
	// Why tells a person whose machine has no apt what it is for.
	Why string
}

// Programs lists all that a node needs.
func Programs() []Program {
	cni := []string{"/usr/lib/cni", "/opt/cni/bin"}
	return []Program{
		{Name: "etcd", Package: "etcd-server", Why: "stores the cluster's objects"},
		{Name: "containerd", Package: "containerd", Why: "runs containers"},
		{Name: "ctr", Package: "containerd", Why: "loads images into containerd"},
		{Name: "runc", Package: "runc", Why: "starts containers"},
		{Name: "ptp", Dirs: cni, Package: "containernetworking-plugins", Why: "connects pods"},
		{Name: "host-local", Dirs: cni, Package: "containernetworking-plugins", Why: "gives pods addresses"},
		{Name: "portmap", Dirs: cni, Package: "containernetworking-plugins", Why: "serves host ports"},
		{Name: "iptables", Package: "iptables", Why: "carries services"},
		{Name: "conntrack", Package: "conntrack", Why: "lets kube-proxy drop stale connections"},
		{Name: "socat", Package: "socat", Why: "serves kubectl port-forward"},
		{Name: "ethtool", Package: "ethtool", Why: "is asked by the kubelet"},
		{Name: "mount", Package: "mount", Why: "mounts volumes"},
	}
}

// Finder looks programs up.
type Finder struct {
	// Exists reports whether path is an executable file.
	Exists func(path string) bool
	// Path is the list of folders of PATH. /usr/sbin and /sbin are added, since a
	// user's PATH often lacks them.
	Path []string
}

// Find returns where p is, or "".
func (f Finder) Find(p Program) string {
	exists := f.Exists
	if exists == nil {
		exists = executable
	}
	dirs := p.Dirs
	if len(dirs) == 0 {
		dirs = slices.Concat(f.Path, []string{"/usr/local/sbin", "/usr/sbin", "/sbin"})
	}
	for _, d := range dirs {
		if path := d + "/" + p.Name; d != "" && exists(path) {
			return path
		}
	}
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// Missing returns the programs that f does not find.
func (f Finder) Missing(programs []Program) []Program {
	var out []Program
	for _, p := range programs {
		if f.Find(p) == "" {
			out = append(out, p)
		}
	}
	return out
}

// Packages names the packages that bring the programs, each once, in order.
func Packages(programs []Program) []string {
	var out []string
	for _, p := range programs {
		if !slices.Contains(out, p.Package) {
			out = append(out, p.Package)
		}
	}
	return out
}

// policyFile tells Debian's package scripts whether they may start a service
// (invoke-rc.d(8)); 101 means no. Without it, etcd and containerd would come up
// by themselves as soon as they are installed.
const (
	policyFile = "/usr/sbin/policy-rc.d"
	policyText = "#!/bin/sh\n# Laid here by kn-lite's devcluster while it installs packages.\nexit 101\n"
)

// Install installs packages with apt, starting none of their services, and removes
// what it laid down for that. Output of apt goes to log. The package lists are
// fetched only when an installation fails without that.
func Install(ctx context.Context, packages []string, log io.Writer) (err error) {
	if len(packages) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return &fault.Error{
			Op: "install packages", Subject: strings.Join(packages, " "), Err: errors.New("there is no apt-get on this machine"),
			Hint: "install the programs that these Debian packages hold by other means, then run `devcluster up` again",
		}
	}
	undo, err := forbidServices(policyFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, undo()) }()
	install := append([]string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"}, packages...)
	if apt(ctx, io.Discard, install...) == nil {
		return nil
	}
	if err := apt(ctx, log, "update"); err != nil {
		return err
	}
	return apt(ctx, log, install...)
}

func apt(ctx context.Context, log io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &fault.Error{
			Op: "apt-get " + strings.Join(args, " "), Err: err,
			Hint: "run it by hand to see why; `devcluster up` goes on from there",
		}
	}
	return nil
}

// forbidServices lays the policy file down unless the machine has one of its own.
// One that an interrupted run of ours left is taken over.
func forbidServices(path string) (undo func() error, err error) {
	have, err := os.ReadFile(path)
	switch {
	case err == nil && string(have) != policyText:
		return func() error { return nil }, nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	if err := os.WriteFile(path, []byte(policyText), 0o755); err != nil {
		return nil, fmt.Errorf("forbid services to start: %w", err)
	}
	return func() error { return os.Remove(path) }, nil
}
