// Package footprint lists what a machine carries besides its files: devices,
// addresses, routes, firewall rules, mounts, cgroups, sysctls and the folders that
// container software leaves behind. Two lists, taken before and after, show what
// something in between left.
package footprint

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/devcluster/internal/cgroup"
	"github.com/kn-lite/kn-lite/devcluster/internal/instance"
)

// Footprint is one list per kind of thing. Each entry is one line of text.
type Footprint map[string][]string

// Take lists what the host has now. Tools that are not installed leave their list out:
// what they would show cannot have been made without them.
func Take(ctx context.Context) (Footprint, error) {
	f := Footprint{}
	for kind, argv := range map[string][]string{
		"devices":   {"ip", "-o", "link"},
		"addresses": {"ip", "-o", "address"},
		"routes":    {"ip", "-o", "route", "show", "table", "all"},
		"rules":     {"ip", "-o", "rule"},
		"iptables":  {"iptables-save"},
		"ip6tables": {"ip6tables-save"},
	} {
		path, err := exec.LookPath(argv[0])
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, argv[1:]...).Output()
		if err != nil {
			return nil, err
		}
		f[kind] = Lines(kind, string(out))
	}
	mounts, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	if f["mounts"], err = mountPoints(bytes.NewReader(mounts)); err != nil {
		return nil, err
	}
	hierarchies, err := cgroup.Hierarchies(bytes.NewReader(mounts))
	if err != nil {
		return nil, err
	}
	f["cgroups"] = cgroups(hierarchies)
	f["sysctls"] = sysctls("net.ipv4.ip_forward", "net.ipv4.conf.all.route_localnet", "net.netfilter.nf_conntrack_max",
		"vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops", "kernel.keys.root_maxkeys", "kernel.keys.root_maxbytes")
	for _, dir := range []string{
		"/var/lib/kubelet", "/var/lib/cni", "/var/lib/containerd", "/var/log/pods", "/var/log/containers",
		"/run/containerd", "/run/netns", "/etc/cni", "/opt/cni", "/opt/containerd", "/usr/libexec/kubernetes", "/usr/sbin/policy-rc.d",
	} {
		if _, err := os.Stat(dir); err == nil {
			f["folders"] = append(f["folders"], dir)
		}
	}
	return f, nil
}

// Lines cuts a tool's output into comparable lines: without comments, packet
// counters, and the fields of devices and addresses that change by themselves.
func Lines(kind, text string) []string {
	counters := regexp.MustCompile(`\[\d+:\d+\]`)
	volatile := regexp.MustCompile(` (valid_lft|preferred_lft) \S+| qlen \d+| state \S+| expires \S+`)
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		switch kind {
		case "iptables", "ip6tables":
			line = strings.TrimSpace(counters.ReplaceAllString(line, ""))
			// A table that somebody only looked at exists from then on, with nothing in it.
			if strings.HasPrefix(line, "*") || line == "COMMIT" || strings.HasSuffix(line, " ACCEPT") && strings.HasPrefix(line, ":") {
				continue
			}
		default:
			line = volatile.ReplaceAllString(line, "")
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func mountPoints(mountinfo io.Reader) ([]string, error) {
	var out []string
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 4 {
			out = append(out, f[4]+" from "+f[3])
		}
	}
	slices.Sort(out)
	return out, lines.Err()
}

// cgroups lists the first level of every hierarchy, and all of ours: deep enough to
// see what a node makes, not so deep that the host's own sessions come and go in it.
func cgroups(hierarchies []cgroup.Hierarchy) []string {
	var out []string
	for _, h := range hierarchies {
		for _, pattern := range []string{"*", strings.TrimPrefix(instance.CgroupRoot, "/") + "/*"} {
			found, err := filepath.Glob(filepath.Join(h.Mount, pattern))
			if err != nil {
				continue
			}
			for _, path := range found {
				if info, err := os.Stat(path); err == nil && info.IsDir() {
					out = append(out, path)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func sysctls(names ...string) []string {
	var out []string
	for _, n := range names {
		b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(n, ".", "/"))
		if err == nil {
			out = append(out, n+" = "+strings.TrimSpace(string(b)))
		}
	}
	return out
}

// Left returns what after has and before has not, as "kind: entry", in order.
func Left(before, after Footprint) []string { return extra(before, after) }

// Lost returns what before has and after has not.
func Lost(before, after Footprint) []string { return extra(after, before) }

func extra(base, other Footprint) []string {
	var out []string
	for kind, entries := range other {
		count := map[string]int{}
		for _, e := range base[kind] {
			count[e]++
		}
		for _, e := range entries {
			if count[e]--; count[e] < 0 {
				out = append(out, kind+": "+e)
			}
		}
	}
	slices.Sort(out)
	return out
}
