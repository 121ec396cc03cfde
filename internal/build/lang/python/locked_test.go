package python

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// packageIndex serves wheels as an index does, to who has the password.
type packageIndex struct {
	url      string
	password string
	hashes   bool
	mu       sync.Mutex
	asked    []string
	files    map[string][]byte // simple/NAME/FILE
}

// newIndex makes an index whose packages say that they are from it.
func newIndex(t *testing.T, origin, password string, names ...string) *packageIndex {
	t.Helper()
	x := &packageIndex{password: password, hashes: true, files: map[string][]byte{}}
	for _, name := range names {
		name, requires, _ := strings.Cut(name, " ")
		for _, version := range []string{"1.0", "9.0"} {
			x.files["simple/"+name+"/"+name+"-"+version+"-py3-none-any.whl"] = wheelBytes(t, name, version, origin, requires)
		}
	}
	server := httptest.NewServer(x)
	t.Cleanup(server.Close)
	x.url = server.URL + "/simple"
	return x
}

func wheelBytes(t *testing.T, name, version, origin, requires string, more ...[2]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	info := name + "-" + version + ".dist-info/"
	if requires != "" {
		requires = "Requires-Dist: " + requires + "\n"
	}
	for _, f := range append([][2]string{
		{name + "/__init__.py", "origin = '" + origin + "'\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n" + requires},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", ""},
	}, more...) {
		entry, err := w.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(entry, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// ServeHTTP implements http.Handler.
func (x *packageIndex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	x.asked = append(x.asked, r.URL.Path)
	x.mu.Unlock()
	if _, password, _ := r.BasicAuth(); password != x.password {
		w.Header().Set("WWW-Authenticate", "Basic realm=x")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name := strings.Trim(r.URL.Path, "/")
	if raw, ok := x.files[name]; ok {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(raw)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	for file := range x.files {
		if rest, ok := strings.CutPrefix(file, name+"/"); ok {
			sum := ""
			if x.hashes {
				sum = "#sha256=" + x.hash(file)
			}
			fmt.Fprintf(w, "<a href=%q>%s</a>\n", "/"+file+sum, html.EscapeString(rest))
		}
	}
}

func (x *packageIndex) hash(file string) string {
	sum := sha256.Sum256(x.files[file])
	return hex.EncodeToString(sum[:])
}

// lockTexts are what the tools write for a project that takes demo, which needs
// leaf on Linux, from an index of its own, and other from the common one.
var lockTexts = map[string]map[string]string{
	"uv.lock": {"uv.lock": `version = 1
requires-python = ">=3.9"

[[package]]
name = "app"
version = "0.1"
source = { virtual = "." }
dependencies = [ { name = "demo" }, { name = "other" } ]

[[package]]
name = "demo"
version = "1.0"
source = { registry = "PRIVATE" }
dependencies = [ { name = "leaf", marker = "sys_platform == 'linux'" }, { name = "absent", marker = "sys_platform == 'win32'" } ]
wheels = [ { url = "PRIVATE/demo/demo-1.0-py3-none-any.whl", hash = "sha256:DEMO" } ]

[[package]]
name = "leaf"
version = "1.0"
source = { registry = "PRIVATE" }
wheels = [ { url = "PRIVATE/leaf/leaf-1.0-py3-none-any.whl", hash = "sha256:LEAF" } ]

[[package]]
name = "other"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
wheels = [ { url = "https://files.pythonhosted.org/other-1.0-py3-none-any.whl", hash = "sha256:OTHER" } ]
`, "pyproject.toml": `[project]
name = "app"
dependencies = ["demo>=1", "other"]
[tool.uv.sources]
demo = { index = "corp" }
[[tool.uv.index]]
name = "corp"
url = "PRIVATE"
`},
	"poetry.lock": {"poetry.lock": `[[package]]
name = "demo"
version = "1.0"
optional = false
python-versions = ">=3.8"
groups = ["main"]
files = [ {file = "demo-1.0-py3-none-any.whl", hash = "sha256:DEMO"} ]
[package.dependencies]
leaf = {version = ">=1", markers = "sys_platform == \"linux\""}
[package.source]
type = "legacy"
url = "PRIVATE"
reference = "corp"

[[package]]
name = "leaf"
version = "1.0"
optional = false
python-versions = "*"
groups = ["main", "dev"]
markers = {main = "sys_platform == \"linux\"", dev = "extra == \"x\""}
files = [ {file = "leaf-1.0-py3-none-any.whl", hash = "sha256:LEAF"} ]
[package.source]
type = "legacy"
url = "PRIVATE"
reference = "corp"

[[package]]
name = "other"
version = "1.0"
optional = false
python-versions = "*"
groups = ["main"]
files = [ {file = "other-1.0-py3-none-any.whl", hash = "sha256:OTHER"} ]

[[package]]
name = "linter"
version = "1.0"
optional = false
python-versions = "*"
groups = ["dev"]
files = []
[package.source]
type = "git"
url = "https://example.com/linter.git"

[metadata]
lock-version = "2.1"
python-versions = ">=3.9"
`, "pyproject.toml": `[tool.poetry.dependencies]
python = ">=3.9"
demo = { version = ">=1", source = "corp" }
other = "*"
[[tool.poetry.source]]
name = "corp"
url = "PRIVATE/"
`},
	"pylock.toml": {"pylock.toml": `lock-version = "1.0"
requires-python = ">=3.9"
[[packages]]
name = "demo"
version = "1.0"
index = "PRIVATE"
wheels = [{ url = "PRIVATE/demo/demo-1.0-py3-none-any.whl", hashes = { sha256 = "DEMO" } }]
[[packages]]
name = "leaf"
version = "1.0"
marker = "sys_platform == 'linux' and 'x' not in extras"
index = "PRIVATE"
wheels = [{ url = "PRIVATE/leaf/leaf-1.0-py3-none-any.whl", hashes = { sha256 = "LEAF" } }]
[[packages]]
name = "other"
version = "1.0"
wheels = [{ url = "https://files.pythonhosted.org/other-1.0-py3-none-any.whl", hashes = { sha256 = "OTHER" } }]
`},
	"pdm.lock": {"pdm.lock": `[metadata]
groups = ["default", "dev"]
strategy = ["inherit_metadata"]
lock_version = "4.5.0"
[[package]]
name = "demo"
version = "1.0"
groups = ["default"]
dependencies = ["leaf>=1; sys_platform == 'linux'"]
files = [ {file = "demo-1.0-py3-none-any.whl", hash = "sha256:DEMO"} ]
[[package]]
name = "leaf"
version = "1.0"
groups = ["default"]
marker = "sys_platform == \"linux\""
files = [ {file = "leaf-1.0-py3-none-any.whl", hash = "sha256:LEAF"} ]
[[package]]
name = "other"
version = "1.0"
groups = ["default"]
files = [ {file = "other-1.0-py3-none-any.whl", hash = "sha256:OTHER"} ]
`, "pyproject.toml": `[project]
dependencies = ["demo>=1", "other"]
[[tool.pdm.source]]
name = "corp"
url = "WITHTOKEN"
`},
	"Pipfile.lock": {"Pipfile": "[packages]\n", "Pipfile.lock": `{"_meta": {"requires": {"python_version": "3.11"}, "sources": [
{"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": true}, {"name": "corp", "url": "WITHTOKEN", "verify_ssl": true}]},
"default": {"demo": {"hashes": ["sha256:DEMO"], "index": "corp", "version": "==1.0"},
"leaf": {"hashes": ["sha256:LEAF"], "index": "corp", "version": "==1.0", "markers": "python_version >= '3.8'"},
"other": {"hashes": ["sha256:OTHER"], "version": "==1.0"}}, "develop": {"linter": {"git": "https://x"}}}`},
}

const token = "canary-token"

// lockedProject opens a project with a lock, and the installation that it asks for.
func lockedProject(t *testing.T, files map[string]string, public, private *packageIndex) (*lang.Project, lang.Layer, error) {
	t.Helper()
	if err := exec.Command("python3", "-I", "-m", "pip", "--version").Run(); err != nil {
		t.Skip("there is no pip")
	}
	withToken := strings.Replace(private.url, "://", "://me:${CORP_TOKEN}@", 1)
	replace := strings.NewReplacer("PRIVATE", private.url, "WITHTOKEN", withToken,
		"DEMO", private.hash("simple/demo/demo-1.0-py3-none-any.whl"), "LEAF", private.hash("simple/leaf/leaf-1.0-py3-none-any.whl"),
		"OTHER", public.hash("simple/other/other-1.0-py3-none-any.whl"))
	all := map[string]string{"main.py": ""}
	for name, text := range files {
		all[name] = replace.Replace(text)
	}
	p, _ := open(t, all)
	p.Environ = lang.With(p.Environ, "PIP_INDEX_URL="+public.url, "PIP_FIND_LINKS=", "PIP_CONFIG_FILE="+os.DevNull, "HOME="+t.TempDir(),
		"UV_INDEX_CORP_USERNAME=me", "UV_INDEX_CORP_PASSWORD="+token, "POETRY_HTTP_BASIC_CORP_USERNAME=me", "POETRY_HTTP_BASIC_CORP_PASSWORD="+token, "CORP_TOKEN="+token)
	found, err := inspect(p)
	if err != nil {
		return p, lang.Layer{}, err
	}
	l, err := dependencyLayer(p, found, target("amd64", "3.11"), "3.11.1")
	return p, l, err
}

// A name in another index may be another package: each comes from where its lock
// says, with the password that this takes, which is nowhere afterwards.
func TestLockDecidesWherePackagesComeFrom(t *testing.T) {
	for name, files := range lockTexts {
		t.Run(name, func(t *testing.T) {
			public := newIndex(t, "public", "", "demo", "leaf", "other")
			private := newIndex(t, "private", token, "demo leaf", "leaf")
			if name == "pylock.toml" {
				private.password = "" // it has no names of indexes, so pip's own places count
			}
			p, l, err := lockedProject(t, files, public, private)
			if err != nil {
				t.Fatal(err)
			}
			got, err := langtest.Contents(t, l)
			if err != nil {
				t.Fatal(err)
			}
			for pkg, origin := range map[string]string{"demo": "private", "leaf": "private", "other": "public"} {
				if text := got["dependencies/"+pkg+"/__init__.py"]; text != "origin = '"+origin+"'\n" {
					t.Errorf("%s: %q", pkg, text)
				}
				if got["dependencies/"+pkg+"-1.0.dist-info/METADATA"] == "" {
					t.Errorf("%s is not of the locked version", pkg)
				}
			}
			for file, text := range got {
				if strings.Contains(text, token) || strings.Contains(text, "127.0.0.1") {
					t.Errorf("%s: %s", file, text)
				}
			}
			if l.Key == "" || strings.Contains(l.Key, token) {
				t.Errorf("key = %q", l.Key)
			}
			p.Environ = lang.With(p.Environ, "UV_INDEX_CORP_PASSWORD=rotated", "POETRY_HTTP_BASIC_CORP_PASSWORD=rotated", "CORP_TOKEN=rotated")
			found, err := inspect(p)
			if err != nil {
				t.Fatal(err)
			}
			other, err := dependencyLayer(p, found, target("amd64", "3.11"), "3.11.1")
			if err != nil || other.Key != l.Key {
				t.Errorf("the key depends on the password: %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(p.CacheDir, "python", "*")); len(left) > 0 {
				t.Errorf("left in the cache: %v", left)
			}
		})
	}
}

// An index that gives no checksums leaves the lock without them: then the index
// decides, and the common one is not asked.
func TestLockWithoutChecksums(t *testing.T) {
	public := newIndex(t, "public", "", "demo", "leaf", "other")
	private := newIndex(t, "private", token, "demo leaf", "leaf")
	private.hashes = false
	files := map[string]string{"uv.lock": strings.NewReplacer(`, hash = "sha256:DEMO"`, "", `, hash = "sha256:LEAF"`, "").Replace(lockTexts["uv.lock"]["uv.lock"]), "pyproject.toml": lockTexts["uv.lock"]["pyproject.toml"]}
	_, l, err := lockedProject(t, files, public, private)
	if err != nil {
		t.Fatal(err)
	}
	got, err := langtest.Contents(t, l)
	if err != nil {
		t.Fatal(err)
	}
	for pkg, origin := range map[string]string{"demo": "private", "leaf": "private", "other": "public"} {
		if text := got["dependencies/"+pkg+"/__init__.py"]; text != "origin = '"+origin+"'\n" {
			t.Errorf("%s: %q", pkg, text)
		}
	}
	for _, path := range public.asked {
		if strings.Contains(path, "demo") || strings.Contains(path, "leaf") {
			t.Errorf("the common index was asked for %s", path)
		}
	}
}

// A wheel that is not the locked one, and a wrong password, end the build; no
// message shows a password.
func TestLockIsNotBent(t *testing.T) {
	public := newIndex(t, "public", "", "demo", "leaf", "other")
	private := newIndex(t, "private", token, "demo leaf", "leaf")
	for name, change := range map[string]func(files map[string]string){
		"another wheel": func(files map[string]string) {
			files["uv.lock"] = strings.Replace(files["uv.lock"], "DEMO", strings.Repeat("0", 64), 1)
		},
		"wrong password": func(map[string]string) { private.password = "other" },
	} {
		files := map[string]string{"uv.lock": lockTexts["uv.lock"]["uv.lock"], "pyproject.toml": lockTexts["uv.lock"]["pyproject.toml"]}
		change(files)
		_, l, err := lockedProject(t, files, public, private)
		if err != nil {
			t.Fatal(err)
		}
		_, err = langtest.Contents(t, l)
		if fault.KindOf(err) != fault.Build || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
