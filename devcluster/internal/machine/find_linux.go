package machine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Find lists the processes that live in a machine of the given instance folder,
// whether or not anybody has recorded them: they see the folder at Root.
func Find(folder string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/mountinfo")
		if err == nil && showsFolder(string(b), folder) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// showsFolder reports whether a mountinfo has folder mounted at Root. The source is
// given relative to its file system, so a folder on a disk of its own shows shortened.
func showsFolder(mountinfo, folder string) bool {
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		if len(f) < 5 || f[4] != Root {
			continue
		}
		source := unescape(f[3])
		if source == folder || len(source) > 1 && strings.HasSuffix(folder, source) && strings.HasPrefix(source, "/") &&
			filepath.Base(source) == filepath.Base(folder) {
			return true
		}
	}
	return false
}

// unescape undoes mountinfo's octal escapes for blanks and backslashes (proc(5)).
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
