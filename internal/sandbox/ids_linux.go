package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// shiftedTo is the first host id of root's sandboxes. With the identity map
	// a build could write /proc/sys, which belongs to uid 0. Nobody is given ids
	// this high (https://systemd.io/UIDS-GIDS/ ends at 0x6FFFFFFF for containers).
	shiftedTo = 0x70000000
	idCount   = 65536
)

// mapping translates the ids inside to ids outside.
type mapping struct {
	identity         Identity
	uid, gid         int // of this process
	uids, gids       idRange
	shiftTo          int // of Shifted
	shiftCount       int
	newuid, newgid   string // programs
	whyNotRangesText string
}

type idRange struct{ first, count int }

// chooseMapping looks at who we are. path is $PATH.
func chooseMapping(path string) mapping {
	m := mapping{identity: Shifted, uid: os.Geteuid(), gid: os.Getegid()}
	if m.uid == 0 {
		m.shiftTo, m.shiftCount = shiftFor(mappedIDs("/proc/self/uid_map"), mappedIDs("/proc/self/gid_map"))
		if m.shiftCount == 0 {
			m.identity, m.whyNotRangesText = Single, "this container has too few user ids"
		}
		return m
	}
	m.identity = Ranges
	var errs [4]error
	m.newuid, errs[0] = lookPath(path, "newuidmap")
	m.newgid, errs[1] = lookPath(path, "newgidmap")
	names := []string{strconv.Itoa(m.uid)}
	if u, err := user.LookupId(names[0]); err == nil {
		names = append(names, u.Username)
	}
	m.uids, errs[2] = subordinate("/etc/subuid", names)
	m.gids, errs[3] = subordinate("/etc/subgid", names)
	if err := errors.Join(errs[:]...); err != nil {
		m.identity = Single
		m.whyNotRangesText = strings.ReplaceAll(err.Error(), "\n", ", ")
	}
	return m
}

// mappedIDs is how many ids from 0 on a process has, as the kernel lists them.
func mappedIDs(file string) int {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	total := 0
	for line := range strings.Lines(string(raw)) {
		var inside, outside, count int
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 && inside == total {
			total += count
		}
	}
	return total
}

// shiftFor chooses root's ids: high ones, or, in a container that has few, all
// but its own 0; 0 ids when there are too few to be of use.
func shiftFor(uids, gids int) (first, count int) {
	switch have := min(uids, gids); {
	case have >= shiftedTo+idCount:
		return shiftedTo, idCount
	case have > 60000:
		return 1, min(have-1, idCount)
	}
	return 0, 0
}

func lookPath(path, program string) (string, error) {
	for _, dir := range append(filepath.SplitList(path), "/usr/bin", "/bin") {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no program %s (Debian's package uidmap has it)", program)
}

// subordinate reads the first range of one of names in a file like subuid(5).
func subordinate(file string, names []string) (idRange, error) {
	f, err := os.Open(file)
	if err != nil {
		return idRange{}, fmt.Errorf("there is no %s", file)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 {
			continue
		}
		for _, name := range names {
			first, err1 := strconv.Atoi(fields[1])
			count, err2 := strconv.Atoi(fields[2])
			if fields[0] == name && err1 == nil && err2 == nil && count > 0 {
				return idRange{first, min(count, idCount-1)}, nil
			}
		}
	}
	return idRange{}, fmt.Errorf("%s has no range for %s", file, names[len(names)-1])
}

// attributes are those of the process to start.
func (m mapping) attributes(attr *syscall.SysProcAttr) {
	switch m.identity {
	case Shifted:
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: m.shiftTo, Size: m.shiftCount}}
		attr.UidMappings, attr.GidMappings = ids, ids
		attr.GidMappingsEnableSetgroups = true
		// Executing anything with an unmapped uid would lose the capabilities.
		attr.Credential = &syscall.Credential{}
	case Single:
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: m.uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: m.gid, Size: 1}}
	case Ranges:
		// newuidmap writes the maps once the process is there.
	}
}

// write maps the ids of the process pid with newuidmap and newgidmap.
func (m mapping) write(ctx context.Context, pid int) error {
	for _, one := range []struct {
		program string
		own     int
		more    idRange
	}{{m.newuid, m.uid, m.uids}, {m.newgid, m.gid, m.gids}} {
		cmd := exec.CommandContext(ctx, one.program, strconv.Itoa(pid), "0", strconv.Itoa(one.own), "1",
			"1", strconv.Itoa(one.more.first), strconv.Itoa(one.more.count))
		cmd.Env = []string{}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", filepath.Base(one.program), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
