//go:build e2e

package stale

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// effect is what a change does to an image.
type effect int

const (
	differs effect = iota // another image
	seen                  // may be the same, but nobody can know before it is built
	none                  // the image does not depend on it
)

// change is one thing that an image may depend on.
type change struct {
	kind string
	does effect
	make func(s *state)
	// slow marks what is only tried at full size in languages that build slowly.
	slow bool
}

// common are the kinds that every language has.
func common() []change {
	return []change{
		{"a variable that is not named", none, func(s *state) { s.variable["STAGE"] = "unnamed" }, false},
		{"time zone, locale, user, CI", none, func(s *state) {
			for name, value := range map[string]string{"TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "tr_TR.UTF-8", "USER": "ada", "CI": "true", "NODE_ENV": "test"} {
				s.variable[name] = value
			}
		}, false},
		{"file times", none, func(s *state) {
			err := filepath.WalkDir(s.dir(), func(at string, _ os.DirEntry, err error) error {
				if err == nil {
					err = os.Chtimes(at, time.Unix(1e9, 0), time.Unix(1e9, 0))
				}
				return err
			})
			if err != nil {
				s.t.Fatal(err)
			}
		}, false},
		{"another folder", none, func(s *state) {
			moved := filepath.Join(s.t.TempDir(), "deeper", "place")
			if err := os.MkdirAll(filepath.Dir(moved), 0o755); err != nil {
				s.t.Fatal(err)
			}
			// A copy, since names of files on disk change with a move and not with it.
			if out, err := exec.Command("cp", "-a", s.top, moved).CombinedOutput(); err != nil {
				s.t.Fatalf("%v %s", err, out)
			}
			s.top = moved
		}, false},
		{"time stamps in the image", differs, func(s *state) { s.variable["SOURCE_DATE_EPOCH"] = "1700000000" }, true},
		{"another platform", differs, func(s *state) { s.flags = append(s.flags, "--platform", "linux/arm64") }, true},
		{"another base", differs, func(s *state) {
			s.seedBase(s.t, s.language, "one")
			s.flags = append(s.flags, "--base-image", s.address+"/"+s.language+":1")
		}, true},
		{"the base's tag", differs, func(s *state) { s.seedBase(s.t, s.language, "moved") }, true},
		{"another kn-lite", seen, func(s *state) {
			raw, err := os.ReadFile(s.program)
			if err != nil {
				s.t.Fatal(err)
			}
			s.program = filepath.Join(s.t.TempDir(), "kn-lite")
			if err := os.WriteFile(s.program, append(raw, 0), 0o755); err != nil {
				s.t.Fatal(err)
			}
		}, true},
	}
}

func TestStale(t *testing.T) {
	m := newMachine(t)
	full := os.Getenv("FULL") != ""
	for _, l := range languages() {
		t.Run(l.name, func(t *testing.T) {
			if _, err := exec.LookPath(l.tool); err != nil {
				t.Fatalf("needs %s", l.tool)
			}
			s := m.newState(t, l.name, l.files)
			if l.before != nil {
				l.before(s)
			}
			before, _ := s.build(s.cache)
			kinds, rebuilt := 0, 0
			for _, c := range append(l.changes(), common()...) {
				if c.slow && l.slow && !full || l.without[c.kind] {
					continue
				}
				kinds++
				c.make(s)
				after, unchanged := s.build(s.cache)
				switch {
				case unchanged && c.does != none:
					t.Errorf("STALE: %s is not seen", c.kind)
				case c.does == differs && after == before:
					t.Errorf("%s does not change the image, so this proves nothing", c.kind)
				case c.does == none && (!unchanged || after != before):
					t.Errorf("%s is no reason to build again (unchanged: %t)", c.kind, unchanged)
				}
				if full || c.does == none && !l.slow {
					// With nothing of an earlier build but the tools' own caches.
					if right, _ := s.build(t.TempDir(), "--no-cache"); right != after {
						t.Errorf("STALE: %s: built from nothing it is %s, and was taken for %s", c.kind, right, after)
					}
				}
				before = after
				if !unchanged {
					rebuilt++
				}
			}
			t.Logf("%d kinds, %d built again", kinds, rebuilt)
			if full && kinds < 20 {
				t.Errorf("%d kinds of changes, want 20", kinds)
			}
		})
	}
}
