package settings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// configIn returns an environment whose user file has text, and the file.
func configIn(t *testing.T, text string) (file string, getenv func(string) string) {
	t.Helper()
	file = writeSettings(t, text)
	return file, func(name string) string { return map[string]string{"KN_LITE_CONFIG": file}[name] }
}

func readBack(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The bytes of one value change and no others.
func TestSetChangesOneValue(t *testing.T) {
	const commented = "# ours\nregistry: a.example # team\n\n# hosts\ninsecureRegistries:\n  - one:5000 # lab\n  # the second\n  - two:5000\nbaseImages:\n  node: n\n# the end\n"
	for _, tt := range []struct{ name, before, key, value, after string }{
		{"no text", "", "registry", "a.example", "registry: a.example\n"},
		{"comments only", "# nothing yet", "registry", "a.example", "# nothing yet\nregistry: a.example\n"},
		{"a document mark", "---\n", "namespace", "shop", "---\nnamespace: shop\n"},
		{"another value", commented, "registry", "b.example/team", strings.Replace(commented, "a.example #", "b.example/team #", 1)},
		{"the same value", commented, "registry", "a.example", commented},
		{"quotes", "registry: \"a\" # x\nnamespace: 'b'\n", "namespace", "on", "registry: \"a\" # x\nnamespace: \"on\"\n"},
		{"a number", "namespace: a\n", "namespace", "123", "namespace: \"123\"\n"},
		{"a new key", commented, "namespace", "shop", strings.Replace(commented, "# the end", "namespace: shop\n# the end", 1)},
		{"a new key below", commented, "baseImages.go", "g", strings.Replace(commented, "  node: n\n", "  node: n\n  go: g\n", 1)},
		{"the first key below", "registry: r\n", "mirrors.docker.io", "m.example/hub, n.example", "registry: r\nmirrors:\n  docker.io: [m.example/hub, n.example]\n"},
		{"a host with a port", "", "mirrors.r.example:5000", "m", "mirrors:\n  r.example:5000: [m]\n"},
		{"another case of a host", "mirrors:\n  Docker.IO: [a]\n", "mirrors.docker.io", "b", "mirrors:\n  Docker.IO: [b]\n"},
		{"a key without a value", "registry: # none yet\nnamespace: n\n", "registry", "r", "registry: r # none yet\nnamespace: n\n"},
		{"a key with nothing below", "baseImages:\nregistry: r\n", "baseImages.go", "g", "baseImages:\n  go: g\nregistry: r\n"},
		{"an item more", commented, "insecureRegistries", "one:5000,two:5000,three:5000", strings.Replace(commented, "  - two:5000\n", "  - two:5000\n  - three:5000\n", 1)},
		{"an item less", commented, "insecureRegistries", "two:5000", strings.Replace(commented, "  - one:5000 # lab\n", "", 1)},
		{"another item", commented, "insecureRegistries", "one:5000,new:1", strings.Replace(commented, "  # the second\n  - two:5000\n", "  - new:1\n  # the second\n", 1)},
		{"a list in brackets", "insecureRegistries: [a:1, 'b:2'] # lab\n", "insecureRegistries", "c:3", "insecureRegistries: [c:3] # lab\n"},
		{"a list as text", "insecureRegistries: a:1,b:2\n", "insecureRegistries", "a:1", "insecureRegistries: [a:1]\n"},
		{"braces", "{registry: r, baseImages: {node: n}}\n", "baseImages.go", "g", "{registry: r, baseImages: {go: g, node: n}}\n"},
		{"empty braces", "{}\n", "registry", "r", "{registry: r}\n"},
		{"line ends", "registry: a\r\nbaseImages:\r\n  node: n\r\n", "baseImages.go", "g", "registry: a\r\nbaseImages:\r\n  node: n\r\n  go: g\r\n"},
		{"a mark in front", "\xef\xbb\xbfregistry: a\n", "registry", "b", "\xef\xbb\xbfregistry: b\n"},
		{"no line end", "registry: a", "namespace", "shop", "registry: a\nnamespace: shop\n"},
		{"a boolean", "", "requireSigned", "TRUE", "requireSigned: true\n"},
		{"an end mark", "registry: a\n...\n", "namespace", "shop", "registry: a\nnamespace: shop\n...\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file, env := configIn(t, tt.before)
			done, err := Set(t.Context(), env, tt.key, tt.value)
			if err != nil {
				t.Fatal(err)
			}
			after := readBack(t, file)
			if diff := cmp.Diff(tt.after, after); diff != "" || done.Changed != (tt.before != after) {
				t.Errorf("changed %v %s", done.Changed, diff)
			}
			if _, err := Set(t.Context(), env, tt.key, tt.value); err != nil || readBack(t, file) != after {
				t.Errorf("the second time: %v, %q", err, readBack(t, file))
			}
		})
	}
}

func TestUnset(t *testing.T) {
	for _, tt := range []struct{ name, before, key, after string }{
		{"a value", "# a\nregistry: r # b\n# c\nnamespace: n\n", "registry", "# a\n# c\nnamespace: n\n"},
		{"the last one", "registry: r\n", "registry", ""},
		{"a list", "registry: r\ninsecureRegistries:\n  - a\n  - b\n\n# n\nnamespace: n\n", "insecureRegistries", "registry: r\n\n# n\nnamespace: n\n"},
		{"one of several below", "baseImages:\n  node: n\n  go: g\nregistry: r\n", "baseImages.node", "baseImages:\n  go: g\nregistry: r\n"},
		{"the last one below", "baseImages:\n  node: n\nregistry: r\n", "baseImages.node", "registry: r\n"},
		{"all below", "baseImages:\n  node: n\n  go: g\nregistry: r\n", "baseImages", "registry: r\n"},
		{"the first in braces", "{registry: r, namespace: n}\n", "registry", "{namespace: n}\n"},
		{"the last in braces", "{registry: r, namespace: n}\n", "namespace", "{registry: r}\n"},
		{"what is not known", "registry: r\nrequireSigne: true\n", "requireSigne", "registry: r\n"},
		{"what is not there", "registry: r\n", "namespace", "registry: r\n"},
		{"a text of several lines", "registry: r\nsignKey: |\n  a\n  b\nnamespace: n\n", "signKey", "registry: r\nnamespace: n\n"},
	} {
		file, env := configIn(t, tt.before)
		done, err := Unset(t.Context(), env, tt.key)
		if err != nil || done.Changed != (tt.before != tt.after) {
			t.Errorf("%s: %+v, %v", tt.name, done, err)
		}
		if diff := cmp.Diff(tt.after, readBack(t, file)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, before, key, value string
		kind                     fault.Kind
		want, hint               string
	}{
		{"an unknown key", "", "registri", "r", fault.Usage, "no such setting", `"registry"`},
		{"an unknown language", "", "baseImages.nodejs", "r", fault.Usage, "no such setting", `"baseImages.node"`},
		{"a key below a value", "", "registry.x", "r", fault.Usage, "no such setting", "no keys below"},
		{"no name", "", "mirrors", "r", fault.Usage, "for each name", "mirrors.registry.example"},
		{"an empty name", "", "mirrors.", "r", fault.Usage, "no such setting", "behind the dot"},
		{"an empty value", "", "registry", " ", fault.Usage, "empty", "config unset registry"},
		{"several lines", "", "registry", "a\nb", fault.Usage, "one line", ""},
		{"neither true nor false", "", "requireSigned", "maybe", fault.Usage, "neither true nor false", ""},
		{"a URL", "", "registry", "https://r.example/team", fault.Usage, "scheme", "use r.example/team"},
		{"a URL in a list", "", "insecureRegistries", "a,http://b:5000", fault.Usage, "scheme", "use b:5000"},
		{"no port", "", "ingress", "192.0.2.1", fault.Usage, "HOST:PORT", "192.0.2.1:80"},
		{"a secret", "", "signPassword", "x", fault.Usage, "secret", "KN_LITE_SIGN_PASSWORD"},
		{"commas alone", "", "insecureRegistries", ",,", fault.Usage, "no value", ""},
		{"a broken file", "registry: [\n", "namespace", "n", fault.Usage, "config.yaml", "YAML"},
		{"a mistake elsewhere", "requireSigne: true\n", "namespace", "n", fault.Usage, ":1:1", "requireSigned"},
		{"an alias", "registry: &r a\nnamespace: *r\n", "registry", "b", fault.Conflict, "by hand", "set registry to b"},
		{"a text of several lines", "signKey: |\n  a\n", "signKey", "b", fault.Conflict, ":1:10", "by hand"},
		{"another order", "insecureRegistries:\n  - a\n  - b\n", "insecureRegistries", "b,a", fault.Conflict, ":2:3", "by hand"},
	} {
		file, env := configIn(t, tt.before)
		_, err := Set(t.Context(), env, tt.key, tt.value)
		text := fmt.Sprint(err, fault.HintOf(err))
		if fault.KindOf(err) != tt.kind || !strings.Contains(text, tt.want) || !strings.Contains(fault.HintOf(err), tt.hint) {
			t.Errorf("%s: %v (%v), hint %q", tt.name, err, fault.KindOf(err), fault.HintOf(err))
		}
		if got := readBack(t, file); got != tt.before {
			t.Errorf("%s: the file is %q", tt.name, got)
		}
	}
}

// Several at the same time lose nothing.
func TestSetAtTheSameTime(t *testing.T) {
	file, env := configIn(t, "# start\n")
	const each = 20
	var wg sync.WaitGroup
	for i := range each {
		wg.Go(func() {
			if _, err := Set(t.Context(), env, fmt.Sprintf("mirrors.host%d.example", i), "m"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := Load(Sources{Env: env})
	if err != nil || len(got.Mirrors) != each {
		t.Errorf("%d of %d are there, %v:\n%s", len(got.Mirrors), each, err, readBack(t, file))
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("there are %v, %v", left, err)
	}
}

func TestSetWaitsForTheLock(t *testing.T) {
	file, env := configIn(t, "")
	unlock, err := lock(t.Context(), filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Set(ctx, env, "registry", "r"); !errors.Is(err, context.Canceled) || readBack(t, file) != "" {
		t.Errorf("got %v", err)
	}
}

func TestSetKeepsLinkAndMode(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "dotfiles", "kn.yaml"), filepath.Join(dir, "config.yaml")
	if err := errors.Join(os.Mkdir(filepath.Dir(target), 0o755), os.WriteFile(target, []byte("registry: a\n"), 0o644), os.Symlink(filepath.Join("dotfiles", "kn.yaml"), link)); err != nil {
		t.Fatal(err)
	}
	env := func(name string) string { return map[string]string{"KN_LITE_CONFIG": link}[name] }
	if _, err := Set(t.Context(), env, "registry", "b"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err = os.Stat(target); err != nil || info.Mode().Perm() != 0o644 || readBack(t, target) != "registry: b\n" {
		t.Errorf("the target is %v, %v", info, err)
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if _, err := Set(t.Context(), env, "registry", "b"); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "leads nowhere") {
		t.Errorf("got %v", err)
	}
}

func TestSetMakesTheFile(t *testing.T) {
	home := t.TempDir()
	env := func(name string) string { return map[string]string{"HOME": home}[name] }
	done, err := Set(t.Context(), env, "registry", "r")
	if err != nil || done.File != filepath.Join(home, ".config", "kn-lite", "config.yaml") {
		t.Fatalf("%+v, %v", done, err)
	}
	info, err := os.Stat(done.File)
	if err != nil || info.Mode().Perm() != 0o600 || readBack(t, done.File) != "registry: r\n" {
		t.Errorf("%v, %v", info, err)
	}
	for _, none := range []map[string]string{{}, {"KN_LITE_CONFIG": os.DevNull}, {"HOME": "relative"}} {
		if _, err := Set(t.Context(), func(name string) string { return none[name] }, "registry", "r"); fault.KindOf(err) != fault.Usage {
			t.Errorf("%v: %v", none, err)
		}
	}
}
