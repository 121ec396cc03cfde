package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

func TestKeeper(t *testing.T) {
	scratch := t.TempDir()
	keep := func(p project, dir string) keeper {
		return (&transpile{project: &lang.Project{Dir: dir}, found: &p, version: "v22"}).keeper(scratch)
	}
	install := func(what string) string {
		into := filepath.Join(t.TempDir(), modules)
		if err := os.MkdirAll(filepath.Join(into, ".cache"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(into, what), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return into
	}
	taken := func(k keeper) (string, bool) {
		t.Helper()
		into := filepath.Join(t.TempDir(), modules)
		ok, err := k.take(into)
		if err != nil {
			t.Fatal(err)
		}
		return into, ok
	}
	one := project{manager: manager{name: "npm"}, lockName: "package-lock.json", lockRaw: []byte("1"), manifestRaw: []byte("{}")}
	if _, ok := taken(keep(one, "/a")); ok {
		t.Error("something is there before the first build")
	}
	if err := keep(one, "/a").giveBack(install("first")); err != nil {
		t.Fatal(err)
	}
	other := one
	other.lockRaw = []byte("2")
	for name, k := range map[string]keeper{"another lockfile": keep(other, "/a"), "another project": keep(one, "/b")} {
		if _, ok := taken(k); ok {
			t.Errorf("%s gets the dependencies", name)
		}
	}
	into, ok := taken(keep(one, "/a"))
	if !ok {
		t.Fatal("the dependencies are not there for the next build")
	}
	if _, err := os.Stat(filepath.Join(into, ".cache")); err == nil {
		t.Error("so is what tools remember")
	}
	if _, twice := taken(keep(one, "/a")); twice {
		t.Error("two builds at once share them")
	}
	if err := keep(one, "/a").giveBack(into); err != nil {
		t.Fatal(err)
	}
	if err := keep(other, "/a").giveBack(install("second")); err != nil {
		t.Fatal(err)
	}
	if _, ok := taken(keep(one, "/a")); ok {
		t.Error("a project has two sets of dependencies")
	}
	scripted := one
	scripted.manifest.Scripts = map[string]string{"postinstall": "node patch.js"}
	unlocked := one
	unlocked.lockName = ""
	for _, p := range []project{scripted, unlocked} {
		if k := keep(p, "/a"); k.key != "" {
			t.Errorf("kept with %+v", p)
		}
	}
	if err := keep(one, "/c").giveBack(filepath.Join(t.TempDir(), modules)); err != nil {
		t.Error(err)
	}
}
