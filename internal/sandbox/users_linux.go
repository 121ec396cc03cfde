package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// User is an account of a root file system.
type User struct {
	UID, GID uint32
	Groups   []uint32
	Home     string
}

// LookupUser reads /etc/passwd and /etc/group for USER[:GROUP], names or
// numbers, as the USER instruction has it. A number needs no entry.
func LookupUser(text string) (User, error) {
	name, group, hasGroup := strings.Cut(text, ":")
	if name == "" {
		name = "0"
	}
	u := User{Home: "/"}
	number, notNumber := strconv.ParseUint(name, 10, 31)
	found, err := eachEntry("/etc/passwd", func(f []string) bool {
		if len(f) < 6 || f[0] != name && (notNumber != nil || f[2] != name) {
			return false
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 31)
		gid, err2 := strconv.ParseUint(f[3], 10, 31)
		if err1 != nil || err2 != nil {
			return false
		}
		u.UID, u.GID, u.Home, name = uint32(uid), uint32(gid), f[5], f[0]
		return true
	})
	switch {
	case err != nil:
		return u, err
	case !found && notNumber != nil:
		return u, fault.New(fault.Build, "sandbox.user", "", "%s", unknownUser(name))
	case !found:
		u.UID = uint32(number)
		if number == 0 {
			u.Home = "/root"
		}
	}
	if hasGroup && group != "" {
		if u.GID, found, err = findGroup(group); err == nil && !found {
			err = fault.New(fault.Build, "sandbox.user", "", "%s", unknownGroup(group))
		}
		u.Groups = []uint32{u.GID}
		return u, err
	}
	u.Groups = []uint32{u.GID}
	_, err = eachEntry("/etc/group", func(f []string) bool {
		if len(f) >= 4 {
			for member := range strings.SplitSeq(f[3], ",") {
				if gid, err := strconv.ParseUint(f[2], 10, 31); member == name && err == nil && uint32(gid) != u.GID {
					u.Groups = append(u.Groups, uint32(gid))
				}
			}
		}
		return false
	})
	return u, err
}

// findGroup reads a group's number, or the number that it is.
func findGroup(group string) (gid uint32, found bool, err error) {
	if number, err := strconv.ParseUint(group, 10, 31); err == nil {
		return uint32(number), true, nil
	}
	found, err = eachEntry("/etc/group", func(f []string) bool {
		if len(f) < 3 || f[0] != group {
			return false
		}
		number, err := strconv.ParseUint(f[2], 10, 31)
		gid = uint32(number)
		return err == nil
	})
	return gid, found, err
}

func unknownUser(name string) string {
	return fmt.Sprintf("user %q is not in the image's /etc/passwd", name)
}

func unknownGroup(name string) string {
	return fmt.Sprintf("group %q is not in the image's /etc/group", name)
}

// Owner is who files belong to.
type Owner struct {
	UID, GID uint32
	Unknown  []string // what is wrong with names that nobody has
}

// LookupOwner reads the same files for --chown=USER[:GROUP]. A number alone is the
// group, too. A name that nobody has stands for root, as with Docker.
func LookupOwner(text string) (Owner, error) {
	name, group, _ := strings.Cut(text, ":")
	var o Owner
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		o.UID, o.GID = uint32(id), uint32(id)
	} else if name != "" && name != "root" {
		found, err := eachEntry("/etc/passwd", func(f []string) bool {
			if len(f) < 4 || f[0] != name {
				return false
			}
			uid, err1 := strconv.ParseUint(f[2], 10, 31)
			gid, err2 := strconv.ParseUint(f[3], 10, 31)
			o.UID, o.GID = uint32(uid), uint32(gid)
			return err1 == nil && err2 == nil
		})
		if err != nil {
			return o, err
		}
		if !found {
			o.Unknown = append(o.Unknown, unknownUser(name))
		}
	}
	switch group {
	case "":
		return o, nil
	case "root":
		o.GID = 0
		return o, nil
	}
	gid, found, err := findGroup(group)
	if found {
		o.GID = gid
	} else {
		o.Unknown = append(o.Unknown, unknownGroup(group))
	}
	return o, err
}

// eachEntry reads a file like passwd(5) until stop returns true.
func eachEntry(file string, stop func(fields []string) bool) (bool, error) {
	f, err := regular.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if stop(strings.Split(lines.Text(), ":")) {
			return true, nil
		}
	}
	return false, lines.Err()
}
