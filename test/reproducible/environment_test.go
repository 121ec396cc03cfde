//go:build e2e

package reproducible

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// environment is one way in which a machine can differ from another where an
// image must not: each factor has two levels.
type environment struct {
	deep    bool // a long folder with a space and a letter beyond ASCII
	private bool // umask 077, and files of that mode
	zone    bool // a time zone with a three-quarter hour
	locale  bool // one where the capital of i is not I
	old     bool // files from 2001, else from 2037
	reverse bool // files made in reverse order
	cores   bool // GOMAXPROCS=8, else 1
	user    bool // an ordinary user, else root
}

// environments are 16 of the 256: the fractional factorial 2^(8-4) of resolution
// IV, with generators E=BCD, F=ACD, G=ABC, H=ABD. Any three factors occur in all
// eight combinations, twice each.
func environments() []environment {
	var all []environment
	for n := range 16 {
		a, b, c, d := n&1 != 0, n&2 != 0, n&4 != 0, n&8 != 0
		odd := func(x, y, z bool) bool { return x != y != z }
		all = append(all, environment{
			deep: a, private: b, zone: c, locale: d,
			old: odd(b, c, d), reverse: odd(a, c, d), cores: odd(a, b, c), user: odd(a, b, d),
		})
	}
	return all
}

func (e environment) String() string {
	var on []string
	for name, level := range map[string]bool{
		"deep": e.deep, "private": e.private, "zone": e.zone, "locale": e.locale, "old": e.old, "reverse": e.reverse, "cores": e.cores, "user": e.user,
	} {
		if level {
			on = append(on, name)
		}
	}
	slices.Sort(on)
	return "[" + strings.Join(on, " ") + "]"
}

// vars are the variables in which e differs.
func (e environment) vars() []string {
	zone, locale, procs := "UTC", "C.UTF-8", "1"
	if e.zone {
		zone = "Pacific/Chatham"
	}
	if e.locale {
		locale = "tr_TR.UTF-8"
	}
	if e.cores {
		procs = "8"
	}
	return []string{"TZ=" + zone, "LC_ALL=" + locale, "LANG=" + locale, "GOMAXPROCS=" + procs}
}

func (e environment) umask() int {
	if e.private {
		return 0o077
	}
	return 0o022
}

// place copies a project to where e has it, the way e makes files.
func (e environment) place(t *testing.T, project, root string) string {
	t.Helper()
	dir := filepath.Join(root, "p")
	if e.deep {
		dir = filepath.Join(root, strings.Repeat("deeper/", 12), "my wörk", "p")
	}
	var names []string
	err := filepath.WalkDir(project, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, relative := filepath.Rel(project, path)
			names, err = append(names, name), relative
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.reverse {
		slices.Reverse(names)
	}
	for _, name := range names {
		if err := e.copy(filepath.Join(project, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (e environment) copy(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	mode := info.Mode().Perm() &^ fs.FileMode(e.umask())
	if err := os.WriteFile(to, content, mode); err != nil {
		return err
	}
	stamp := time.Date(2037, 3, 4, 5, 6, 7, 0, time.UTC)
	if e.old {
		stamp = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	}
	return os.Chtimes(to, stamp, stamp)
}

// give makes a user the owner of everything below the folders.
func give(t *testing.T, uid int, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				err = os.Lchown(path, uid, uid)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDesign: the sample is what it claims, or a pair of causes could hide.
func TestDesign(t *testing.T) {
	levels := func(e environment) []bool {
		return []bool{e.deep, e.private, e.zone, e.locale, e.old, e.reverse, e.cores, e.user}
	}
	for i := range 8 {
		for j := range i {
			for k := range j {
				seen := map[string]int{}
				for _, e := range environments() {
					l := levels(e)
					seen[fmt.Sprint(l[i], l[j], l[k])]++
				}
				for combination, times := range seen {
					if len(seen) != 8 || times != 2 {
						t.Errorf("factors %d, %d and %d: %d combinations, %s %d times", i, j, k, len(seen), combination, times)
					}
				}
			}
		}
	}
}
