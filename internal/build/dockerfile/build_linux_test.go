package dockerfile

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
	"github.com/kn-lite/kn-lite/test/bases"
)

func TestMain(m *testing.M) {
	if code, ours := sandbox.Inside(os.Args, os.Stdin, os.Stdout, rootfs.Guests()); ours {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// busybox is the base "busybox" of all tests: Debian's package, once per machine.
var busybox = sync.OnceValues(func() (v1.Image, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return bases.Busybox(ctx, filepath.Join(cache, "kn-lite-test-bases"))
})

// project is a folder to build and what came of it.
type project struct {
	t         *testing.T
	dir       string
	cache     string
	told      told
	bases     map[string]v1.Image
	steps     Steps
	signed    bool
	pull      Pull // nil is one of bases and busybox
	plain     bool // as on a machine without overlays
	maxLayers int
}

type told struct {
	mutex                       sync.Mutex
	steps, notes, warnings, raw []string
	single                      bool // there is one user only
}

func (r *told) Start(label string, _ int64) progress.Task {
	return &toldTask{Task: progress.Nop().Start("", 0), to: r, label: label}
}

type toldTask struct {
	progress.Task
	to    *told
	label string
}

func (t *toldTask) Done(text string) { t.end(text, true) }
func (t *toldTask) Fail()            { t.end(t.label, false) }

func (t *toldTask) end(text string, ok bool) {
	t.to.mutex.Lock()
	defer t.to.mutex.Unlock()
	t.to.steps = append(t.to.steps, fmt.Sprint(text, " ", ok))
}

func (r *told) Step(string)  {}
func (r *told) Debug(string) {}

func (r *told) Note(text string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.notes = append(r.notes, text)
}

func (r *told) Warn(text string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if strings.Contains(text, "one user only") {
		r.single = true
		return
	}
	r.warnings = append(r.warnings, text)
}

func (r *told) Output(text string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.raw = append(r.raw, text)
}

func (r *told) output() string { return strings.Join(r.raw, "\n") }

// newProject writes files ("path" → content, "path -> target" → "" for links).
func newProject(t *testing.T, dockerfile string, files map[string]string) *project {
	t.Helper()
	p := &project{t: t, dir: filepath.Join(t.TempDir(), "app"), cache: filepath.Join(t.TempDir(), "cache"), bases: map[string]v1.Image{"empty": empty.Image}}
	files = maps.Clone(files)
	if files == nil {
		files = map[string]string{}
	}
	files[DefaultFile] = dockerfile
	for name, content := range files {
		name, target, link := strings.Cut(name, " -> ")
		at := filepath.Join(p.dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(target, at)
		default:
			err = os.WriteFile(at, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *project) build(options Options) (*Image, error) {
	p.t.Helper()
	store, err := layer.Open(p.cache, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.told = told{}
	boot := "this boot"
	if p.plain || os.Getenv("KN_LITE_TEST_PLAIN") != "" {
		boot = ""
	}
	image, err := Build(context.Background(), Spec{
		Options: options, Dir: p.dir, Platform: hostPlatform(), Epoch: time.Unix(1000, 0),
		CacheDir: p.cache, Path: os.Getenv("PATH"), Store: store, Steps: p.steps, Signed: p.signed, Boot: boot, maxLayers: p.maxLayers, Report: &p.told, HostFile: os.ReadFile,
		Pull: func(ref string, platform v1.Platform) (v1.Image, error) {
			if p.pull != nil {
				return p.pull(ref, platform)
			}
			if image, ok := p.bases[ref]; ok {
				return image, nil
			}
			if ref != "busybox" {
				return nil, fault.New(fault.NotFound, "test", ref, "no such base")
			}
			image, err := busybox()
			if err != nil {
				p.t.Skipf("SKIPPED, no busybox from Debian: %v", err)
			}
			return image, nil
		},
	})
	if fault.KindOf(err) == fault.Conflict && fault.HintOf(err) != "" {
		p.t.Skipf("SKIPPED, no sandbox here: %v\n%s", err, fault.HintOf(err))
	}
	return image, err
}

func (p *project) must(options Options) *Image {
	p.t.Helper()
	image, err := p.build(options)
	if err != nil {
		p.t.Fatalf("%v\n%s\n%s", err, fault.HintOf(err), p.told.output())
	}
	return image
}

// added lists what the Dockerfile's own layers hold, as a file system would see
// it: TYPE MODE OWNER NAME [-> TARGET] [= CONTENT].
func added(t *testing.T, image *Image) []string {
	t.Helper()
	entries := map[string]string{}
	for _, l := range image.Layers {
		content, err := l.Layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		reader := tar.NewReader(content)
		for {
			h, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.ModTime.Unix() > 1000 {
				t.Errorf("%s has the time %v", h.Name, h.ModTime)
			}
			text := fmt.Sprintf("%c %04o %d:%d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, strings.TrimSuffix(h.Name, "/"))
			if h.Linkname != "" {
				text += " -> " + h.Linkname
			}
			if h.Typeflag == tar.TypeReg && h.Size > 0 {
				raw, err := io.ReadAll(reader)
				if err != nil {
					t.Fatal(err)
				}
				text += " = " + strings.TrimSpace(string(raw))
			}
			entries[h.Name] = text
		}
		if err := content.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		out = append(out, entries[name])
	}
	return out
}

func wantAdded(t *testing.T, image *Image, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, added(t, image)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestCopy(t *testing.T) {
	files := map[string]string{"a.txt": "A", "b.txt": "B", "dir/x": "X", "dir/sub/y": "Y", "dir/l -> x": "", "top -> dir": ""}
	tests := []struct {
		name, text string
		want       []string
	}{
		{"to a name", "COPY a.txt /x", []string{"0 0644 0:0 x = A"}},
		{"into a folder", "COPY a.txt /d/", []string{"5 0755 0:0 d", "0 0644 0:0 d/a.txt = A"}},
		{"relative", "WORKDIR /w\nCOPY a.txt b", []string{"5 0755 0:0 w", "0 0644 0:0 w/b = A"}},
		{"a folder's content", "COPY dir /d", []string{"5 0755 0:0 d", "2 0777 0:0 d/l -> x", "5 0755 0:0 d/sub", "0 0644 0:0 d/sub/y = Y", "0 0644 0:0 d/x = X"}},
		{"a link to a folder is followed", "COPY top /d", []string{"5 0755 0:0 d", "2 0777 0:0 d/l -> x", "5 0755 0:0 d/sub", "0 0644 0:0 d/sub/y = Y", "0 0644 0:0 d/x = X"}},
		{"a link to a file is followed", "COPY dir/l /d", []string{"0 0644 0:0 d = X"}},
		{"pattern", "COPY *.txt /d/", []string{"5 0755 0:0 d", "0 0644 0:0 d/a.txt = A", "0 0644 0:0 d/b.txt = B"}},
		{"JSON form", `COPY ["a.txt", "b.txt", "/with space/"]`, []string{"5 0755 0:0 with space", "0 0644 0:0 with space/a.txt = A", "0 0644 0:0 with space/b.txt = B"}},
		{"numeric owner and mode", "COPY --chown=12:34 --chmod=4711 a.txt /d/", []string{"5 0711 12:34 d", "0 4711 12:34 d/a.txt = A"}},
		{"variables", "ENV D=/e\nARG F=a\nCOPY ${F}.txt $D/", []string{"5 0755 0:0 e", "0 0644 0:0 e/a.txt = A"}},
		{"here-document", "ARG WHO=world\nCOPY <<EOF /h\nhello $WHO\nEOF", []string{"0 0644 0:0 h = hello world"}},
		{"quoted here-document", "COPY <<'EOF' /h\nhello $WHO\nEOF", []string{"0 0644 0:0 h = hello $WHO"}},
		{"twice", "COPY a.txt /x\nCOPY b.txt /x", []string{"0 0644 0:0 x = B"}},
		{"from a stage", "COPY dir /d\nFROM scratch\nCOPY --from=0 /d/sub /e/", []string{"5 0755 0:0 e", "0 0644 0:0 e/y = Y"}},
		{"all of a stage", "COPY --chown=1:2 a.txt /x\nFROM scratch\nCOPY --from=0 / /e", []string{"5 0755 0:0 e", "0 0644 1:2 e/x = A"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			image := newProject(t, "FROM scratch\n"+tt.text+"\n", files).must(Options{})
			wantAdded(t, image, tt.want...)
		})
	}
}

func TestIgnoreAndSecrets(t *testing.T) {
	files := map[string]string{
		"a.js": "a", ".env": "TOKEN=1", "certs/server.key": "k", ".git/config": "g", "node_modules/m.js": "m", "docs/a.md": "d", "docs/keep.md": "k",
		".dockerignore": "node_modules\ndocs/*\n!docs/keep.md\n.dockerignore\nDockerfile\n",
	}
	p := newProject(t, "FROM scratch\nCOPY . /\n", files)
	wantAdded(t, p.must(Options{}), "0 0644 0:0 a.js = a", "5 0755 0:0 certs", "5 0755 0:0 docs", "0 0644 0:0 docs/keep.md = k")
	want := "left out of the image as likely secrets: .env (its name), certs/server.key (its name, and content that cannot be judged); " +
		"to include one, name it in .dockerignore: !.env, or in a COPY of its own"
	if len(p.told.warnings) != 1 || p.told.warnings[0] != want {
		t.Errorf("warnings = %q, want %q", p.told.warnings, want)
	}
	// Who names a file means it.
	p = newProject(t, "FROM scratch\nCOPY .env /\n", files)
	wantAdded(t, p.must(Options{}), "0 0644 0:0 .env = TOKEN=1")
	files[".dockerignore"] += "!certs/*.key\n"
	p = newProject(t, "FROM scratch\nCOPY certs /\n", files)
	wantAdded(t, p.must(Options{}), "0 0644 0:0 server.key = k")
	if len(p.told.warnings) != 1 || !strings.Contains(p.told.warnings[0], "certs/server.key") {
		t.Errorf("warnings = %q", p.told.warnings)
	}
}

// A list of what goes in is no permission for the secrets among it.
func TestSecretsBelowWhatIsBroughtBack(t *testing.T) {
	files := map[string]string{
		"src/a.js": "a", "src/.env": "TOKEN=1", "src/conf/id_rsa": "k", "src/.npmrc": "registry=https://registry.npmjs.org/\n", "src/ca.pem": publicPEM,
		"other/.env": "TOKEN=2", "src/.env.example": "TOKEN=changeme", "src/.git/config": "g",
	}
	for _, rules := range []string{"*\n!src\n", "*\n!src/\n", "*\n!src/**\n", "**\n!src/*\n!src/conf/*\n", "*\n!/src\n"} {
		files[".dockerignore"] = rules
		p := newProject(t, "FROM scratch\nCOPY . /\n", files)
		got := strings.Join(added(t, p.must(Options{})), "\n")
		for _, in := range []string{"src/a.js", "src/.npmrc", "src/ca.pem", "src/.env.example"} {
			if !strings.Contains(got, in) {
				t.Errorf("%q: without %s:\n%s", rules, in, got)
			}
		}
		if strings.Contains(got, "TOKEN=1") || strings.Contains(got, "TOKEN=2") || strings.Contains(got, "id_rsa") || strings.Contains(got, ".git") {
			t.Errorf("%q: with secrets:\n%s", rules, got)
		}
		if len(p.told.warnings) != 1 || !strings.Contains(p.told.warnings[0], "src/.env") || !strings.Contains(p.told.warnings[0], "src/conf/id_rsa") {
			t.Errorf("%q: warnings = %q", rules, p.told.warnings)
		}
	}
	files[".dockerignore"] = "*\n!src\n!src/.env\n"
	p := newProject(t, "FROM scratch\nCOPY . /\n", files)
	if got := strings.Join(added(t, p.must(Options{})), "\n"); !strings.Contains(got, "TOKEN=1") || strings.Contains(got, "id_rsa") {
		t.Errorf("a file that is named:\n%s", got)
	}
}

const publicPEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"

// Else the context would grow with each build.
func TestBuildResultsAreNoContext(t *testing.T) {
	files := map[string]string{"a": "a", ".kn-lite/build/index.json": "{}", "apps/b/.kn-lite/build/x": "x", "apps/b/b": "b"}
	for _, rules := range []string{"", "!.kn-lite\n", "*\n!a\n!apps\n!.kn-lite\n!.kn-lite/**\n"} {
		files[".dockerignore"] = rules
		p := newProject(t, "FROM scratch\nCOPY . /\n", files)
		if got := strings.Join(added(t, p.must(Options{})), "\n"); strings.Contains(got, ".kn-lite/") || strings.Contains(got, " .kn-lite\n") || !strings.Contains(got, "apps/b/b = b") {
			t.Errorf("%q:\n%s", rules, got)
		}
		needed, err := Needs(context.Background(), Spec{Dir: p.dir, Platform: hostPlatform(), Report: &p.told})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range needed.Files {
			if strings.Contains(f.Path, ".kn-lite") {
				t.Errorf("%q: %s is sent", rules, f.Path)
			}
		}
		if err := needed.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, source := range []string{".kn-lite", ".kn-lite/build", "apps/b/.kn-lite/", ".kn-lite/build/index.json"} {
		p := newProject(t, "FROM scratch\nCOPY "+source+" /x/\n", files)
		if _, err := p.build(Options{}); fault.KindOf(err) != fault.Build {
			t.Errorf("COPY %s: %v", source, err)
		}
	}
}

// The rules stand beside the Dockerfile, wherever that is.
func TestIgnoreFileOfTheDockerfile(t *testing.T) {
	files := map[string]string{"a": "a", "b": "b", "c": "c", ".dockerignore": "c\nDocker*\n.docker*\nsub\n"}
	outside := t.TempDir()
	write := func(name, text string) string {
		at := filepath.Join(outside, name)
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return at
	}
	own := "b\nDocker*\n.docker*\nsub\n"
	write("D.dockerignore", own)
	files["sub/D"], files["sub/D.dockerignore"] = "FROM scratch\nCOPY . /\n", own
	for _, tt := range []struct {
		name string
		file func(dir string) string
		out  string
	}{
		{"outside", func(string) string { return write("D", "FROM scratch\nCOPY . /\n") }, "b"},
		{"outside, with none of its own", func(string) string { return write("E", "FROM scratch\nCOPY . /\n") }, "c"},
		{"in a folder of the context", func(dir string) string { return filepath.Join(dir, "sub", "D") }, "b"},
		{"the context's", func(dir string) string { return "" }, "c"},
	} {
		p := newProject(t, "FROM scratch\nCOPY . /\n", files)
		var want []string
		for _, name := range []string{"a", "b", "c"} {
			if name != tt.out {
				want = append(want, "0 0644 0:0 "+name+" = "+name)
			}
		}
		file := tt.file(p.dir)
		wantAdded(t, p.must(Options{File: file}), want...)
		needed, err := Needs(context.Background(), Spec{Options: Options{File: file}, Dir: p.dir, Platform: hostPlatform(), Report: &p.told})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range needed.Files {
			if f.Path == tt.out {
				t.Errorf("%s: %s is sent", tt.name, f.Path)
			}
		}
		if sent := string(needed.Ignore); (sent == own) != (tt.name == "outside") {
			t.Errorf("%s: rules sent beside the Dockerfile: %q", tt.name, sent)
		}
		if err := needed.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRun(t *testing.T) {
	const from = "FROM busybox\n"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"shell", "RUN echo hi > /f", []string{"0 0644 0:0 f = hi"}},
		{"exec form", `RUN ["touch", "/f"]`, []string{"0 0644 0:0 f"}},
		{"nothing changed", "RUN true", nil},
		{"here-document", "RUN <<EOF\nset -e\necho one > /a\necho two > /b\nEOF", []string{"0 0644 0:0 a = one", "0 0644 0:0 b = two"}},
		{"script", "RUN <<EOF\n#!/bin/busybox sh\necho $0 > /f\nEOF", []string{"0 0644 0:0 f = /dev/pipes/EOF"}},
		{"document for a program", "RUN cat <<EOF > /f\ntext\nEOF", []string{"0 0644 0:0 f = text"}},
		{"environment", "ENV A=1 B='two words'\nARG C=3\nRUN echo \"$A $B $C $HOME\" > /f", []string{"0 0644 0:0 f = 1 two words 3 /root"}},
		{"user", "USER app\nRUN id -u > /tmp/f; id -G >> /tmp/f; echo $HOME >> /tmp/f", []string{"5 1777 0:0 tmp", "0 0644 1000:1000 tmp/f = 1000\n1000 2000\n/home/app"}},
		{"numeric user", "USER 7:8\nRUN id > /tmp/f", []string{"5 1777 0:0 tmp", "0 0644 7:8 tmp/f = uid=7 gid=8 groups=8"}},
		{"deleted", "RUN rm /bin/wget", []string{"5 0755 0:0 bin", "0 0644 0:0 bin/.wh.wget"}},
		{"deleted folder", "RUN rmdir /home", []string{"0 0644 0:0 .wh.home"}},
		{"same size, same time", "RUN echo 1 > /f; touch -d 1971-01-01 /f\nRUN echo 2 > /f; touch -d 1971-01-01 /f", []string{"0 0644 0:0 f = 2"}},
		{"modes", "RUN touch /f /g; chmod 6755 /f; chmod 000 /g; chown 3:4 /f; chmod u+s /f", []string{"0 4755 3:4 f", "0 0000 0:0 g"}},
		{"hard links", "RUN echo x > /a; ln /a /b", []string{"0 0644 0:0 a = x", "1 0644 0:0 b -> a"}},
		{"fifo", "RUN mkfifo /p", []string{"6 0644 0:0 p"}},
		{"what comes and goes", "RUN touch /tmp/x; rm /tmp/x", nil},
		{"mounted files stay out", "RUN test -s /etc/hosts; test -c /dev/null; test -d /proc/1; mkdir /etc/mine", []string{"5 0755 0:0 etc", "5 0755 0:0 etc/mine"}},
		{"tmpfs", "RUN --mount=type=tmpfs,target=/t touch /t/x /y", []string{"0 0644 0:0 y"}},
		{"context", "RUN --mount=type=bind,target=/ctx cp /ctx/a.txt /f", []string{"0 0644 0:0 f = A"}},
		{"one file of a stage", "RUN --mount=type=bind,from=busybox,source=/etc/passwd,target=/p head -c 4 /p > /f", []string{"0 0644 0:0 f = root"}},
		{"no network", "RUN --network=none wget -q -T 2 http://127.0.0.1:1/ || ls /sys/class 2>/dev/null | wc -l > /f", []string{"0 0644 0:0 f = 0"}},
		{"shell instruction", "SHELL [\"/bin/busybox\", \"sh\", \"-ec\"]\nRUN echo $0 > /f", []string{"0 0644 0:0 f = sh"}},
		{"copy keeps set-uid bits", "RUN touch /f; chmod 4755 /f; ln -s f /l\nFROM scratch\nCOPY --from=0 /f /l /", []string{"0 4755 0:0 f", "0 4755 0:0 l"}},
		{"debian's /var/run", "RUN echo x > /var/run/pid", []string{"5 0755 0:0 run", "0 0644 0:0 run/pid = x"}},
		{"folder through a link", "COPY a.txt /var/run/deep/a", []string{"5 0755 0:0 run", "5 0755 0:0 run/deep", "0 0644 0:0 run/deep/a = A"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t, from+tt.text+"\n", map[string]string{"a.txt": "A"})
			image := p.must(Options{})
			if p.told.single {
				t.Skip("SKIPPED, one user only: owners are not kept")
			}
			wantAdded(t, image, tt.want...)
		})
	}
}

func TestFailedRunNamesItsLine(t *testing.T) {
	p := newProject(t, "FROM busybox\n\nRUN echo before && \\\n  exit 7\n", nil)
	_, err := p.build(Options{})
	exit, ok := errors.AsType[*sandbox.ExitError](err)
	if !ok || exit.Code != 7 || fault.KindOf(err) != fault.Build || !strings.HasPrefix(err.Error(), "Dockerfile:3: ") {
		t.Errorf("err = %v", err)
	}
	if !slices.Equal(p.told.raw, []string{"before"}) {
		t.Errorf("output = %q", p.told.raw)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown instruction", "FROM scratch\nCOPPY a b\n", "Dockerfile:2: unknown instruction: COPPY"},
		{"ssh", "FROM busybox\nRUN --mount=type=ssh true\n", "Dockerfile:2: RUN --mount=type=ssh is not supported"},
		{"security", "FROM busybox\nRUN --security=insecure true\n", "Dockerfile:2"},
		{"url", "FROM scratch\nADD https://example.com/x /x\n", "Dockerfile:2: ADD https://example.com/x: fetching from the network is not supported"},
		{"parents", "FROM scratch\nCOPY --parents a /\n", "Dockerfile:2"},
		{"front end", "# syntax=evil/frontend\nFROM scratch\n", "Dockerfile:1: # syntax=evil/frontend"},
		{"missing file", "FROM scratch\nCOPY nope /\n", "Dockerfile:2: nope: there is no such file in the context"},
		{"ignored file", "FROM scratch\nCOPY out /\n", "Dockerfile:2: out: .dockerignore leaves it out of the context"},
		{"outside", "FROM scratch\nCOPY link /\n", "Dockerfile:2: link: the link to ../../secret leads out of the context"},
		{"later stage", "FROM scratch\nCOPY --from=1 / /\nFROM scratch\n", ""},
		{"mode", "FROM scratch\nCOPY --chmod=u+y a /\n", `Dockerfile:2: --chmod=u+y: "u+y" is no mode, such as 755 or u=rwX,go=rX`},
		{"no base", "ARG B\nFROM $B\n", "Dockerfile:2: FROM $B: the variable B has no value"},
		{"unknown user", "FROM busybox\nUSER eve\nRUN true\n", `Dockerfile:3: user "eve" is not in the image's /etc/passwd`},
		{"no program", "FROM scratch\nRUN true\n", "Dockerfile:2: /bin/sh: there is no such program in the image"},
		{"no FROM", "RUN true\n", "Dockerfile:1"},
		{"only arguments", "ARG VERSION=1\n", "Dockerfile:1: the file ends without a FROM"},
		{"only arguments, with blank lines", "# x\n\nARG A\nARG B=$A\n\n", "Dockerfile:4: the file ends without a FROM"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t, tt.text, map[string]string{"a": "", "b": "", "out": "", ".dockerignore": "out\n", "link -> ../../secret": ""})
			_, err := p.build(Options{})
			if tt.want == "" {
				if err != nil {
					t.Errorf("a stage that is not needed: %v", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || fault.KindOf(err) != fault.Build {
				t.Errorf("err = %v (%v), want %s…", err, fault.KindOf(err), tt.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	p := newProject(t, `ARG V=1
FROM busybox AS a
ARG V
ENV A=1 B=$V
LABEL x="y z"
FROM a
ENV PATH=/x:$PATH
CMD ["old"]
ENTRYPOINT ["/e"]
CMD echo $A
EXPOSE 80 90-91/udp
VOLUME /data
USER app:extra
WORKDIR /w
WORKDIR rel
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD true
ONBUILD RUN echo triggered
MAINTAINER ada
`, nil)
	image := p.must(Options{Args: map[string]string{"V": "2", "TYPO": "x"}})
	file, err := image.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Env:          []string{"PATH=/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=2"},
		Labels:       map[string]string{"x": "y z"},
		Entrypoint:   []string{"/e"},
		Cmd:          []string{"/bin/sh", "-c", "echo $A"},
		ExposedPorts: map[string]struct{}{"80/tcp": {}, "90/udp": {}, "91/udp": {}},
		Volumes:      map[string]struct{}{"/data": {}},
		User:         "app:extra", WorkingDir: "/w/rel", StopSignal: "SIGINT",
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", "true"}, Interval: 5 * time.Second},
		OnBuild:     []string{"RUN echo triggered"},
	}
	if diff := cmp.Diff(want, file.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if file.Author != "ada" || !strings.Contains(strings.Join(p.told.warnings, "\n"), "build argument TYPO") {
		t.Errorf("author %q, warnings %q", file.Author, p.told.warnings)
	}
	filled := 0
	for _, h := range file.History {
		if !h.EmptyLayer {
			filled++
		}
	}
	layers, err := image.Image.Layers()
	if err != nil || filled != len(layers) || filled != len(file.RootFS.DiffIDs) {
		t.Errorf("%d filled history entries, %d layers, %v", filled, len(layers), err)
	}
}

func TestSameInputSameDigest(t *testing.T) {
	const text = "FROM busybox\nCOPY . /app/\nRUN cp -r /app /copy && echo x > /tmp/f && ln /tmp/f /tmp/g\n"
	files := map[string]string{"a": "1", "b/c": "2"}
	var want v1.Hash
	for i, options := range []Options{{}, {NoCache: true}, {}} {
		p := newProject(t, text, files)
		got, err := p.must(options).Image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && got != want {
			t.Errorf("build %d in another folder: %s, want %s", i, got, want)
		}
		want = got
	}
}

func TestCache(t *testing.T) {
	p := newProject(t, "FROM busybox\nARG V=1\nCOPY a /\nRUN cat /a\nRUN --mount=type=cache,target=/c date +%s%N >> /c/log; wc -l < /c/log\n", map[string]string{"a": "1"})
	cached := func(image *Image) (n int) {
		for _, l := range image.Layers {
			if l.Cached {
				n++
			}
		}
		return n
	}
	first := p.must(Options{})
	if cached(first) != 0 || !slices.Contains(p.told.raw, "1") {
		t.Errorf("first build: %d cached, output %q", cached(first), p.told.raw)
	}
	if again := p.must(Options{}); cached(again) != len(again.Layers) || len(p.told.raw) != 0 {
		t.Errorf("second build: %d of %d cached, output %q", cached(again), len(again.Layers), p.told.raw)
	}
	if p.must(Options{NoCache: true}); !slices.Contains(p.told.raw, "2") {
		t.Errorf("the cache mount forgot: %q", p.told.raw)
	}
	if p.must(Options{Args: map[string]string{"V": "2"}}); len(p.told.raw) == 0 {
		t.Error("another build argument runs nothing")
	}
	if err := os.WriteFile(filepath.Join(p.dir, "a"), []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p.must(Options{}); !slices.Contains(p.told.raw, "2") {
		t.Errorf("a changed file runs nothing: %q", p.told.raw)
	}
}

func TestSecretLeavesNoTrace(t *testing.T) {
	p := newProject(t, "FROM busybox\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /n\n", nil)
	image := p.must(Options{Secrets: map[string][]byte{"token": []byte("hunter2")}})
	wantAdded(t, image, "0 0644 0:0 n = 7")
	p = newProject(t, "FROM busybox\nRUN --mount=type=secret,id=token,required=true true\n", nil)
	if _, err := p.build(Options{}); fault.KindOf(err) != fault.Build || fault.HintOf(err) == "" {
		t.Errorf("a required secret that is missing: %v", err)
	}
}

func TestOnbuild(t *testing.T) {
	below := newProject(t, "FROM busybox\nONBUILD COPY a /onbuild\nONBUILD RUN echo x >> /onbuild\n", nil).must(Options{})
	p := newProject(t, "FROM below\n", map[string]string{"a": "1\n"})
	p.bases["below"] = below.Image
	wantAdded(t, p.must(Options{}), "0 0644 0:0 onbuild = 1\nx")
}

// Every image that a build was made from is told, those of other stages too.
func TestImagesThatWereUsed(t *testing.T) {
	p := newProject(t, "FROM busybox AS tools\nFROM empty AS unused\nFROM scratch\nCOPY --from=tools /bin/busybox /b\n", nil)
	image := p.must(Options{})
	base, err := busybox()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := base.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"busybox": digest.String()}, image.Used); diff != "" {
		t.Error(diff)
	}
}
