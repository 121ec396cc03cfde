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
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	// shiftedTo is the first host id of root's sandboxes. With the identity map
	// a build could write /proc/sys, which belongs to uid 0. Nobody is given ids
	// this high (https://systemd.io/UIDS-GIDS/ ends at 0x6FFFFFFF for containers).
	// Each box has idCount of them, so that builds at the same time are different
	// users to the kernel.
	shiftedTo = 0x70000000
	idCount   = 65536
	// Ids inside from idCount on are rare, but OpenShift's are of that kind. All
	// boxes have them at the same place: there are not enough for each.
	highTo    = 0x80000000 + idCount
	highCount = 0x80000000 - idCount - 1 // up to the last but one of all 32-bit ids
	allIDs    = 1<<32 - 1
	highestID = idCount + highCount - 1
)

// mapping translates the ids inside to ids outside.
type mapping struct {
	identity         Identity
	uid, gid         int // of this process
	uids, gids       idRange
	shiftTo          int // of Shifted
	shiftCount       int
	high             bool   // ids inside go up to highest and not to idCount only
	newuid, newgid   string // programs
	whyNotRangesText string
}

type idRange struct{ first, count int }

// chooseMapping looks at who we are. path is $PATH.
func chooseMapping(path string) mapping {
	m := mapping{identity: Shifted, uid: os.Geteuid(), gid: os.Getegid()}
	if m.uid == 0 {
		uids, gids := mappedIDs("/proc/self/uid_map"), mappedIDs("/proc/self/gid_map")
		m.shiftTo, m.shiftCount = shiftFor(uids, gids)
		m.high = min(uids, gids) >= allIDs
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

// forBox returns the ids of the n-th box. A container with few ids has no more
// than one range.
func (m mapping) forBox(n int) mapping {
	if m.identity == Shifted && m.shiftTo == shiftedTo {
		m.shiftTo += n * idCount
	}
	return m
}

// first returns the host's id of somebody inside.
func (m mapping) first() int {
	switch m.identity {
	case Shifted:
		return m.shiftTo
	case Ranges:
		return m.uids.first
	case Single:
	}
	return m.uid
}

// highest returns the highest id inside.
func (m mapping) highest() int64 {
	switch {
	case m.identity == Shifted && !m.high:
		return int64(m.shiftCount) - 1
	case m.identity == Ranges:
		return int64(min(m.uids.count, m.gids.count))
	}
	return highestID // with one user, owners are only noted down
}

// overlaps reports whether ids of the box are also somebody's on the host.
func (m mapping) overlaps(assigned []idRange) bool {
	return m.identity == Shifted && m.shiftTo >= shiftedTo && slices.ContainsFunc(assigned, func(r idRange) bool {
		return r.first < m.shiftTo+m.shiftCount && m.shiftTo < r.first+r.count
	})
}

// assignedIDs returns the ranges that users of the host may use for sandboxes.
func assignedIDs() []idRange {
	var out []idRange
	for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
		_ = eachRange(file, func(_ string, r idRange) bool {
			out = append(out, r)
			return false
		})
	}
	return out
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
	var found *idRange
	err := eachRange(file, func(name string, r idRange) bool {
		if slices.Contains(names, name) {
			found = &r
		}
		return found != nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("%s has no range for %s", file, names[len(names)-1])
	}
	if err != nil {
		return idRange{}, err
	}
	return *found, nil
}

// eachRange reads a file like subuid(5) until stop returns true.
func eachRange(file string, stop func(name string, r idRange) bool) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("there is no %s", file)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 {
			continue
		}
		first, err1 := strconv.Atoi(fields[1])
		count, err2 := strconv.Atoi(fields[2])
		if err1 == nil && err2 == nil && count > 0 && stop(fields[0], idRange{first, count}) {
			break
		}
	}
	return nil
}

// attributes are those of the process to start.
func (m mapping) attributes(attr *syscall.SysProcAttr) {
	switch m.identity {
	case Shifted:
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: m.shiftTo, Size: m.shiftCount}}
		if m.high {
			ids = append(ids, syscall.SysProcIDMap{ContainerID: idCount, HostID: highTo, Size: highCount})
		}
		attr.UidMappings, attr.GidMappings = ids, ids
		attr.GidMappingsEnableSetgroups = true
		// It begins as the host's root, who is nobody inside, and opens folders
		// that are closed to the sandbox's users. Executing as nobody loses all
		// capabilities but these.
		attr.AmbientCaps = setupCapabilities()
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
