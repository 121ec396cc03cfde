//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/function"
)

// timedOut is the exit code of timeout(1) for a command that it has ended.
const timedOut = 124

// generated is a project as its ecosystem's own generator makes it, or as a tutorial
// has its readers write it. Nobody edits a file of it afterwards.
type generated struct {
	files  map[string]string // what a tutorial says to write
	make   [][]string        // commands, run beside these files or in an empty folder
	dir    string            // the folder that is adopted
	adopt  []string          // more arguments of func adopt
	writes []string          // files that func adopt may write beside func.yaml
	deploy []string          // more arguments of deploy
	env    []string          // for kn-lite, such as the base image's setting
	path   string            // that is asked; "" is /
	code   int               // of the answer; 0 is 200
	want   string            // in the answer
	// quick projects belong to the usual whole run. The others would make it too long.
	quick bool
}

// TestProjects takes projects of many ecosystems from their generator to a service
// that answers, without an edit of any of their files.
func TestProjects(t *testing.T) {
	all := map[string]generated{}
	for _, language := range []map[string]generated{nodeProjects(), goProjects(), pythonProjects(), rustProjects(), javaProjects(), rubyProjects()} {
		for name, p := range language {
			if _, twice := all[name]; twice {
				t.Fatalf("two projects are called %s", name)
			}
			all[name] = p
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p := all[name]
		if !p.quick && !full() && os.Getenv("KN_LITE_E2E_PROJECTS") != "all" {
			continue
		}
		t.Run(name, p.live)
	}
}

func (p generated) live(t *testing.T) {
	s := newSandbox(t)
	s.knLiteEnv = append(s.knLiteEnv, p.env...)
	root := filepath.Join(s.Dir, "made")
	s.Dir = root
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range p.files {
		at := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Generators ask nothing where nobody could answer.
	quiet := []string{"CI=true", "npm_config_yes=true", "NEXT_TELEMETRY_DISABLED=1", "DEBIAN_FRONTEND=noninteractive"}
	for _, command := range p.make {
		// npm has been seen to wait for nothing, without a connection.
		bounded := append([]string{"--kill-after=10", "300", s.program(t, command[0])}, command[1:]...)
		r := s.runWith(quiet, "timeout", bounded...)
		if r.Code == timedOut {
			t.Logf("%v: hangs, once more", command)
			r = s.runWith(quiet, "timeout", bounded...)
		}
		if r.Code != 0 {
			t.Fatalf("%v: exit %d after %s\n%s%s", command, r.Code, r.Took, r.Stdout, r.Stderr)
		}
	}
	before := sums(t, root)

	s.Dir = filepath.Join(root, filepath.FromSlash(p.dir))
	s.knLite(0, append([]string{"func", "adopt", "--name", "hello"}, p.adopt...)...)
	s.knLite(0, append([]string{"deploy", "--timeout", "15m"}, p.deploy...)...) // a build of Next.js alone takes minutes on a busy machine
	host, code, path := s.host("hello"), p.code, "/"+strings.TrimPrefix(p.path, "/")
	if code == 0 {
		code = http.StatusOK
	}
	s.eventually(30*time.Second, host+path+" answers", func() string {
		status, body, err := s.get(host, path)
		if err == nil && status == code && strings.Contains(body, p.want) {
			return ""
		}
		return fmt.Sprintf("status %d, body %q, %v", status, body, err)
	})

	for name, sum := range sums(t, root) {
		was, ok := before[name]
		if !ok && slices.Contains(p.writes, name) {
			continue
		}
		if was != sum {
			t.Errorf("%s was written by kn-lite (there before: %v)", name, ok)
		}
		delete(before, name)
	}
	if len(before) > 0 {
		t.Errorf("kn-lite removed %v", slices.Sorted(maps.Keys(before)))
	}
}

// sums are the digests of a folder's files, without those that are kn-lite's own.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".kn-lite":
			return fs.SkipDir
		case !entry.Type().IsRegular() || entry.Name() == function.File:
			return nil
		}
		raw, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, at)
		out[name] = fmt.Sprintf("%x", sha256.Sum256(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
