//go:build e2e

package robust

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// private is a place for packages that wants a password: an index for pip, a
// registry for npm.
type private struct {
	*httptest.Server
	password, token string
	wheel, tarball  []byte
	served          int // of packages
}

func newPrivate(t *testing.T, password, token string) *private {
	t.Helper()
	file := filepath.Join(t.TempDir(), "words-1.0-py3-none-any.whl")
	wheel(t, file)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &private{password: password, token: token, wheel: raw, tarball: npmPackage(t)}
	// Passwords for 127.0.0.1 are taken for those of a developer's machine.
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(s)
	s.Listener = listener
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *private) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, password, _ := r.BasicAuth()
	if password != s.password && r.Header.Get("Authorization") != "Bearer "+s.token {
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/simple/words/":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<a href="../../words-1.0-py3-none-any.whl">words-1.0-py3-none-any.whl</a>`)
	case "/words-1.0-py3-none-any.whl":
		s.served++
		_, _ = w.Write(s.wheel) // pip says what is wrong with it
	case "/words/-/words-1.0.0.tgz":
		s.served++
		_, _ = w.Write(s.tarball) // npm says what is wrong with it
	default:
		http.NotFound(w, r)
	}
}

func npmPackage(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	const text = `{"name":"words","version":"1.0.0"}`
	err := tw.WriteHeader(&tar.Header{Name: "package/package.json", Mode: 0o644, Size: int64(len(text))})
	if err == nil {
		_, err = io.WriteString(tw, text)
	}
	if err == nil {
		err = tw.Close()
	}
	if err == nil {
		err = zw.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// testSecrets lets pip, npm and go take packages from places that want passwords,
// given in each of the ways that these tools have, and looks for them in all that
// is written and pushed.
func testSecrets(t *testing.T, l *lab) {
	words := []string{"canaryPASSWORDx1", "canaryTOKENx2", "canaryREMOTEx3", "canaryBUILDx4", "canaryPROXYx5"}
	password, token, remote, buildEnv, proxy := words[0], words[1], words[2], words[3], words[4]
	s := newPrivate(t, password, token)
	host := strings.TrimPrefix(s.URL, "http://")
	withPassword := "http://ada:" + password + "@" + host
	sum := sha512.Sum512(s.tarball)
	lock := func(url string) string {
		return fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{"words":"1.0.0"}},"node_modules/words":{"version":"1.0.0","resolved":%q,"integrity":"sha512-%s"}}}`,
			url+"/words/-/words-1.0.0.tgz", base64.StdEncoding.EncodeToString(sum[:]))
	}
	const manifest = `{"name":"app","version":"1.0.0","scripts":{"start":"node index.js"},"dependencies":{"words":"1.0.0"}}`
	npmrc := "registry=" + s.URL + "/\n//" + host + "/:_authToken=" + token + "\n"
	for _, c := range []struct {
		name, language string
		files          map[string]string // ~ is the home
		env            []string
		fails          bool
	}{
		{name: "pip, in the requirements", language: "python", files: map[string]string{"requirements.txt": "--index-url " + withPassword + "/simple\nwords==1.0\n"}},
		{name: "pip, in the user's settings", language: "python", files: map[string]string{
			"requirements.txt": "words==1.0\n", "~/.config/pip/pip.conf": "[global]\nindex-url = " + withPassword + "/simple\n",
		}},
		{name: "pip, in a variable", language: "python", files: map[string]string{"requirements.txt": "words==1.0\n"}, env: []string{"PIP_INDEX_URL=" + withPassword + "/simple"}},
		{name: "pip, with a netrc", language: "python", files: map[string]string{
			"requirements.txt": "--index-url " + s.URL + "/simple\nwords==1.0\n", "~/.netrc": "machine 127.0.0.2 login ada password " + password + "\n",
		}},
		{name: "pip, refused", language: "python", fails: true, files: map[string]string{"requirements.txt": "--index-url " + withPassword + "wrong/simple\nwords==1.0\n"}},
		{name: "pip, a package that is not there", language: "python", fails: true, files: map[string]string{"requirements.txt": "--index-url " + withPassword + "/simple\nnowords==1.0\n"}},
		{name: "npm, in the user's settings", language: "node", files: map[string]string{"package.json": manifest, "package-lock.json": lock(s.URL), "~/.npmrc": npmrc}},
		{name: "npm, in the project's settings", language: "node", files: map[string]string{"package.json": manifest, "package-lock.json": lock(s.URL), ".npmrc": npmrc}},
		{name: "npm, in the lock", language: "node", files: map[string]string{"package.json": manifest, "package-lock.json": lock(withPassword), ".npmrc": npmrc}},
		{name: "npm, refused", language: "node", fails: true, files: map[string]string{"package.json": manifest, "package-lock.json": lock(s.URL), ".npmrc": strings.ReplaceAll(npmrc, token, token+"wrong")}},
		{name: "go, a proxy that is not there", language: "go", fails: true, files: map[string]string{
			"go.mod": "module example.com/app\n\ngo 1.21\n\nrequire example.com/private v1.0.0\n", "go.sum": "",
			"main.go": "package main\n\nimport \"example.com/private\"\n\nfunc main() { private.X() }\n",
		}, env: []string{"GOPROXY=https://ada:" + proxy + "@127.0.0.1:1", "GONOSUMDB=*", "GOFLAGS=-mod=mod"}},
	} {
		// At gate size one case of each tool.
		if os.Getenv("FULL") == "" && c.name != "pip, in the requirements" && c.name != "npm, in the lock" && c.language != "go" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			var p project
			for _, p = range projects() {
				if p.language == c.language {
					break
				}
			}
			w := l.newPlace(t, p)
			if err := os.RemoveAll(filepath.Join(w.dir, "wheels")); err != nil {
				t.Fatal(err)
			}
			for name, text := range c.files {
				at := filepath.Join(w.dir, name)
				if below, ok := strings.CutPrefix(name, "~/"); ok {
					at = filepath.Join(w.home, below)
				}
				put(t, at, text)
			}
			put(t, filepath.Join(w.dir, "func.yaml"), "specVersion: 0.36.0\nname: app\nruntime: "+c.language+"\nbuild:\n  buildEnvs:\n    - name: SOME_TOKEN\n      value: "+buildEnv+"\n")
			for _, args := range [][]string{
				{"init", "-q"},
				{"remote", "add", "origin", "https://ada:" + remote + "@git.example/x.git"},
				{"add", "."},
				{"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "x"},
			} {
				if out, err := exec.Command("git", append([]string{"-C", w.dir}, args...)...).CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			// Of the tools' own settings only those of the case.
			lean := *l
			lean.env = []string{"PATH=" + os.Getenv("PATH"), "PIP_NO_CACHE_DIR=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "GOCACHE=" + t.TempDir(), "GOPATH=" + t.TempDir(), "GOTOOLCHAIN=local"}
			lean.env = append(lean.env, c.env...)
			w.lab = &lean
			served := s.served
			out, tag := filepath.Join(w.home, "out"), l.address+"/secret/"+c.language+":1"
			code, stdout, stderr := w.run("build", w.dir, "-v", "--push", "--image", tag, "-o", "oci:"+out)
			if c.fails != (code != 0) || !c.fails && c.language != "go" && s.served == served {
				t.Fatalf("exit %d, %d packages served\n%s", code, s.served-served, stderr)
			}
			search := func(where string, content []byte) {
				t.Helper()
				for _, word := range words {
					if bytes.Contains(content, []byte(word)) || bytes.Contains(content, []byte(base64.StdEncoding.EncodeToString([]byte("ada:"+word)))) {
						t.Errorf("%s has %s", where, word)
					}
				}
			}
			search("stdout", []byte(stdout))
			search("stderr", []byte(stderr))
			_, _, explained := w.run("build", w.dir, "-v", "--explain")
			search("--explain", []byte(explained))
			searched := 0
			for _, dir := range []string{w.cache, w.temp, out} {
				if _, err := os.Stat(dir); err != nil {
					continue // a build that failed has no output
				}
				for _, at := range files(t, dir) {
					raw, err := os.ReadFile(at)
					if err != nil {
						t.Fatal(err)
					}
					searched++
					search(at, raw)
					if zr, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
						if raw, err = io.ReadAll(zr); err != nil {
							t.Fatal(err)
						}
						search(at+" unpacked", raw)
					}
				}
			}
			if !c.fails && searched < 15 {
				t.Errorf("%d files were searched", searched)
			}
		})
	}
}
