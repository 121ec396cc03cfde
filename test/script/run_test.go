//go:build unix

package script

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/test/scriptcmd"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// reloadLimit is far above what a reload takes, for machines that are busy with
// other tests; the figure is logged.
const reloadLimit = 20 * time.Second

// runner is a folder in which functions run.
type runner struct {
	t    *testing.T
	work string
	env  []string
	mark string // a variable that all processes of the test have
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	vars, err := toolenv.Vars()
	if err != nil {
		t.Skip(err)
	}
	work := t.TempDir()
	mark := "TEST_RUN_OF=" + work
	env := append(append(vars, toolenv.Home(filepath.Join(work, ".home"))...), "PATH="+os.Getenv("PATH"), mark)
	return &runner{t: t, work: work, env: env, mark: mark}
}

// command is kn-lite in the folder dir of the runner.
func (r *runner) command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("kn-lite", args...)
	cmd.Dir, cmd.Env = filepath.Join(r.work, dir), r.env
	return cmd
}

// do runs kn-lite to its end, which has to be with code.
func (r *runner) do(code int, dir string, args ...string) (stdout, stderr string) {
	r.t.Helper()
	var out, errs bytes.Buffer
	cmd := r.command(dir, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || cmd.ProcessState.ExitCode() != code {
		r.t.Fatalf("%v: %v, want exit code %d %v\n%s%s", args, err, code, exit, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// session is kn-lite run under way.
type session struct {
	*runner
	cmd  *exec.Cmd
	out  output
	errs output
	url  string
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start starts kn-lite run in dir; more is in front of the test's own variables.
func (r *runner) start(dir string, args ...string) *session {
	r.t.Helper()
	s := &session{runner: r, cmd: r.command(dir, append([]string{"run"}, args...)...)}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.errs
	if err := s.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	return s
}

// serves waits until the function is said to serve.
func (s *session) serves() *session {
	s.t.Helper()
	said := s.says(`serves at (http://localhost:\d+)`)
	s.url = said[1]
	return s
}

// says waits until stderr matches a pattern.
func (s *session) says(pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := 2 * time.Minute
	if os.Getenv("FULL") == "1" {
		limit = 10 * time.Minute // for crates and jars
	}
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if found := re.FindStringSubmatch(s.errs.String()); found != nil {
			return found
		}
	}
	s.t.Fatalf("it does not say %q:\n%s%s", pattern, s.out.String(), s.errs.String())
	return nil
}

// get is the status and body of an answer.
func (s *session) get(path string) (int, string) {
	s.t.Helper()
	response, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.errs.String())
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// becomes waits until the answer has text in it, and returns how long that took.
// Until then the answer is another one, and none is missing.
func (s *session) becomes(text string) time.Duration {
	s.t.Helper()
	began := time.Now()
	limit := reloadLimit
	if os.Getenv("FULL") == "1" {
		limit = 10 * reloadLimit // for compilers
	}
	for time.Since(began) < limit {
		status, body := s.get("/")
		if strings.Contains(body, text) {
			return time.Since(began)
		}
		if status != http.StatusOK {
			s.t.Fatalf("the answer is %d %s", status, body)
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatalf("no answer with %q after %v:\n%s%s", text, limit, s.out.String(), s.errs.String())
	return 0
}

// stop sends a signal and waits for the end, after which no process is left.
func (s *session) stop(sig syscall.Signal, code int) {
	s.t.Helper()
	began := time.Now()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit code %d, want %d\n%s", got, code, s.errs.String())
	}
	if took := time.Since(began); took > 9*time.Second {
		s.t.Errorf("it took %v to end", took)
	}
	s.noStrays()
}

// noStrays fails when a process of the test is left.
func (r *runner) noStrays() {
	r.t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := r.processes()
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("processes are left: %v", left)
		}
	}
}

// processes are those that have the test's mark in their environment.
func (r *runner) processes() []string {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	var out []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err == nil && bytes.Contains(raw, []byte(r.mark+"\x00")) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}

// edit replaces text in a file, by way of another file as editors do it.
func (r *runner) edit(file, from, to string) {
	r.t.Helper()
	file = filepath.Join(r.work, file)
	text, err := os.ReadFile(file)
	if err == nil {
		var changed string
		if changed, err = scriptcmd.Replace(string(text), from, to); err == nil {
			if err = os.WriteFile(file+"~new", []byte(changed), 0o644); err == nil {
				err = os.Rename(file+"~new", file)
			}
		}
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// write makes files, with their folders.
func (r *runner) write(files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		at := filepath.Join(r.work, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestRunLanguages runs the template of each language, changes it, breaks it and
// mends it: there is always an answer, and at the end nothing is left.
func TestRunLanguages(t *testing.T) {
	tests := []struct {
		language, tool, file string
		broken               string // in place of the greeting
		complains            string
		full                 bool
	}{
		{language: "go", tool: "go", file: "handle.go", broken: `Hello" +`, complains: `handle\.go:\d+:\d+: `},
		{language: "node", tool: "npm", file: "index.js", broken: `Hello' +;//`, complains: `SyntaxError`},
		{language: "python", tool: "python3", file: "function/func.py", broken: `Hello" + +)`, complains: `hello-python/function/func\.py", line \d+`},
		{language: "typescript", tool: "npm", file: "src/index.ts", broken: `Hello' +;//`, complains: `src/index\.ts`, full: true},
		{language: "rust", tool: "cargo", file: "src/config.rs", broken: `Hello" + ;//`, complains: `src/config\.rs:\d+`, full: true},
		{language: "java", tool: "mvn", file: "src/main/java/function/Application.java", broken: `Hello" + ;//`, complains: `Application\.java`, full: true},
	}
	for _, tt := range tests {
		t.Run(tt.language, func(t *testing.T) {
			if _, err := exec.LookPath(tt.tool); err != nil {
				t.Skip("needs " + tt.tool)
			}
			if tt.full && os.Getenv("FULL") != "1" {
				t.Skip("needs FULL=1")
			}
			r := newRunner(t)
			name := "hello-" + tt.language
			r.do(0, ".", "func", "create", name, "-l", tt.language)
			before := names(t, filepath.Join(r.work, name))
			began := time.Now()
			s := r.start(name, "--port", "0").serves()
			t.Logf("%s: the first answer after %v", tt.language, time.Since(began).Round(time.Millisecond))
			if status, body := s.get("/"); status != http.StatusOK || !strings.Contains(body, "Hello") {
				t.Fatalf("the answer is %d %s", status, body)
			}
			file := filepath.Join(name, tt.file)
			r.edit(file, "Hello", "Good day")
			t.Logf("%s: a change is served after %v", tt.language, s.becomes("Good day").Round(time.Millisecond))
			r.edit(file, "Good day", tt.broken)
			s.says(tt.complains)
			s.says("goes on; the next save tries again")
			if status, body := s.get("/"); status != http.StatusOK || !strings.Contains(body, "Good day") {
				t.Errorf("while it is broken the answer is %d %s", status, body)
			}
			r.edit(file, tt.broken, "Servus")
			s.becomes("Servus")
			s.stop(syscall.SIGINT, 0)
			if diff := cmp.Diff(before, names(t, filepath.Join(r.work, name))); diff != "" {
				t.Errorf("the project's files (-before +after):\n%s", diff)
			}
		})
	}
}

// server is a program in Node.js with nothing to install.
const server = `require('node:http').createServer((request, response) => {
  if (request.url === '/crash') process.exit(3);
  response.end(JSON.stringify({ answer: 'first', env: process.env, cwd: process.cwd() }));
}).listen(process.env.PORT);
`

func plainNode(t *testing.T) *runner {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs node")
	}
	r := newRunner(t)
	r.write(map[string]string{
		"app/server.js": server, "app/package.json": `{"name": "app", "scripts": {"start": "node server.js"}}`,
		"app/func.yaml": "specVersion: 0.36.0\nname: greeter\nruntime: node\nrun:\n  envs:\n" +
			"  - name: HOST_NAME\n    value: db.example\n  - name: ADDRESS\n    value: http://$(HOST_NAME):1/$(OTHER)/$$(HOST_NAME)\n  - name: TOKEN\n    value: '{{ secret:login:token }}'\n",
	})
	return r
}

// TestRunCrash ends the program: that is said, each request is answered with it, and
// the next save starts it again.
func TestRunCrash(t *testing.T) {
	r := plainNode(t)
	s := r.start("app", "--port", "0").serves()
	if status, body := s.get("/crash"); status != http.StatusBadGateway {
		t.Errorf("the answer is %d %s", status, body)
	}
	s.says("the program has ended: exit code 3")
	if status, body := s.get("/"); status != http.StatusBadGateway || !strings.Contains(body, "exit code 3") {
		t.Errorf("the answer is %d %s", status, body)
	}
	r.edit("app/server.js", "first", "second")
	s.says("serves the changes")
	s.becomes("second")
	s.stop(syscall.SIGTERM, 0)
}

// TestRunEnvironment looks at what a program is told.
func TestRunEnvironment(t *testing.T) {
	r := plainNode(t)
	s := r.start("app", "--port", "0", "-e", "EXTRA=a b", "-e", "LC_ALL-", "-o", "json").serves()
	s.says(`run\.envs: TOKEN: \{\{ secret:login:token \}\} is the cluster's and not here`)
	_, body := s.get("/")
	var got struct {
		Env map[string]string
		Cwd string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"K_SERVICE": "greeter", "K_CONFIGURATION": "greeter", "K_REVISION": "greeter-local", "NODE_ENV": "production",
		"ADDRESS": "http://db.example:1/$(OTHER)/$(HOST_NAME)", "EXTRA": "a b", "TOKEN": "",
	}
	for name, value := range want {
		if got.Env[name] != value {
			t.Errorf("%s is %q, want %q", name, got.Env[name], value)
		}
	}
	if n, err := strconv.Atoi(got.Env["PORT"]); err != nil || n == 0 || got.Cwd == filepath.Join(r.work, "app") {
		t.Errorf("PORT is %q, the working folder %s", got.Env["PORT"], got.Cwd)
	}
	var said struct {
		Kind, Name, URL string
		PID             int
	}
	if err := json.Unmarshal([]byte(s.out.String()), &said); err != nil || said.URL != s.url || said.PID != s.cmd.Process.Pid || said.Name != "greeter" {
		t.Errorf("the answer is %s %v", s.out.String(), err)
	}
	s.stop(syscall.SIGINT, 0)
}

// TestRunPort asks for ports that are taken.
func TestRunPort(t *testing.T) {
	r := plainNode(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	_, said := r.do(6, "app", "run", "--port", port)
	if !strings.Contains(said, "port "+port+": something listens there already") {
		t.Errorf("it says %s", said)
	}
	r.env = append(r.env, "PORT="+port)
	s := r.start("app").serves()
	s.says("port " + port + " is taken")
	s.becomes("first")
	s.stop(syscall.SIGINT, 0)
}

// TestRunInvoke sends requests to the function that runs in the folder, and to no
// other place.
func TestRunInvoke(t *testing.T) {
	r := plainNode(t)
	r.do(5, "app", "invoke", "--target", "local")
	s := r.start("app", "--port", "0").serves()
	out, said := r.do(0, "app", "invoke")
	if !strings.Contains(out, `"answer":"first"`) || !strings.Contains(said, "sent to greeter, which runs in this folder") || !strings.Contains(said, s.url) {
		t.Errorf("invoke: %s %s", out, said)
	}
	out, _ = r.do(0, ".", "invoke", "--target", s.url)
	if !strings.Contains(out, `"answer":"first"`) {
		t.Errorf("invoke --target URL: %s", out)
	}
	r.env = append(r.env, "KUBECONFIG="+filepath.Join(r.work, "none"))
	for _, args := range [][]string{{"greeter"}, {"--target", "remote"}, {"-n", "demo"}} {
		if _, said := r.do(5, "app", append([]string{"invoke"}, args...)...); strings.Contains(said, "which runs in this folder") {
			t.Errorf("invoke %v: %s", args, said)
		}
	}
	r.do(2, "app", "invoke", "greeter", "--target", "local")
	// A killed one is not found any more, and its program is gone too.
	s.stop(syscall.SIGKILL, -1)
	r.do(5, "app", "invoke", "--target", "local")
}

// TestRunRefusals are folders that have no process.
func TestRunRefusals(t *testing.T) {
	r := newRunner(t)
	r.write(map[string]string{"image/Dockerfile": "FROM scratch\n", "empty/README.md": "nothing\n"})
	if _, said := r.do(2, "image", "run"); !strings.Contains(said, "kn-lite local up, then kn-lite deploy") {
		t.Errorf("it says %s", said)
	}
	r.do(2, "empty", "run")
	r.do(2, "empty", "run", "--port", "70000")
	r.do(2, "empty", "run", "--env", "NAME")
	r.do(5, ".", "run", "missing")
}

// TestRunSources changes what decides what runs besides the function's own files.
func TestRunSources(t *testing.T) {
	r := newRunner(t)
	r.write(map[string]string{
		"lib/go.mod": "module example.com/lib\n\ngo 1.24\n", "lib/lib.go": "package lib\n\nfunc Text() string { return \"first\" }\n",
		"app/go.mod": "module example.com/app\n\ngo 1.24\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n",
		"app/handle.go": "package function\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n\t\"os\"\n\n\t\"example.com/lib\"\n)\n\n" +
			"func Handle(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, lib.Text(), os.Getenv(\"MORE\")) }\n",
		"app/func.yaml": "specVersion: 0.36.0\nname: app\nruntime: go\nrun:\n  envs:\n  - name: MORE\n    value: one\n",
	})
	s := r.start("app", "--port", "0").serves()
	s.becomes("firstone")
	r.edit("lib/lib.go", "first", "second")
	s.becomes("secondone")
	r.edit("app/func.yaml", "value: one", "value: two")
	s.becomes("secondtwo")
	r.edit("app/func.yaml", "runtime: go", "runtime: [")
	s.says(`func\.yaml:3`)
	r.edit("app/func.yaml", "runtime: [", "runtime: go")
	// A folder that was not there at the start.
	r.write(map[string]string{"app/inner/inner.go": "package inner\n\nconst Text = \"inner\"\n"})
	r.edit("app/handle.go", "\"example.com/lib\"\n)", "\"example.com/app/inner\"\n\t\"example.com/lib\"\n)")
	r.edit("app/handle.go", "fmt.Fprint(w, lib", "fmt.Fprint(w, inner.Text, lib")
	s.becomes("innersecondtwo")
	r.edit("app/inner/inner.go", `"inner"`, `"deeper"`)
	s.becomes("deepersecondtwo")
	s.stop(syscall.SIGINT, 0)
}

// TestRunFixedPort runs a program that does not look at PORT, with a child in a
// session of its own.
func TestRunFixedPort(t *testing.T) {
	r := plainNode(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	r.edit("app/server.js", "process.env.PORT", port)
	r.edit("app/server.js", "require('node:http')", "require('node:child_process').spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).unref();\nrequire('node:http')")
	s := r.start("app", "--port", port).serves()
	s.says("it seems to listen on a port of its own")
	s.becomes("first")
	r.edit("app/server.js", "first", "second")
	s.says("serves the changes")
	s.becomes("second")
	s.stop(syscall.SIGINT, 0)
}

// TestRunFailingStart has a function whose Start fails while the wrapper around it
// listens already: the old one goes on. Code that does not build ends the run at once
// when there is none.
func TestRunFailingStart(t *testing.T) {
	r := newRunner(t)
	r.write(map[string]string{
		"app/go.mod": "module example.com/app\n\ngo 1.24\n",
		"app/handle.go": "package function\n\nimport (\n\t\"context\"\n\t\"errors\"\n\t\"fmt\"\n\t\"net/http\"\n\t\"time\"\n)\n\n" +
			"type F struct{ fails bool }\n\nfunc New() *F { return &F{} }\n\n" +
			"func (f *F) Start(context.Context, map[string]string) error {\n\ttime.Sleep(300 * time.Millisecond)\n\tif f.fails {\n\t\treturn errors.New(\"no database\")\n\t}\n\treturn nil\n}\n\n" +
			"func (f *F) Handle(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, \"first\") }\n",
		"broken/go.mod":    "module example.com/broken\n\ngo 1.24\n",
		"broken/handle.go": "package function\n\nimport \"net/http\"\n\nfunc Handle(w http.ResponseWriter, r *http.Request) { missing() }\n",
	})
	s := r.start("app", "--port", "0").serves()
	s.becomes("first")
	r.edit("app/handle.go", "&F{}", "&F{fails: true}")
	s.says("no database")
	s.says("goes on; the next save tries again")
	s.becomes("first")
	r.edit("app/handle.go", `&F{fails: true}`, "&F{}")
	r.edit("app/handle.go", `"first"`, `"second"`)
	s.becomes("second")
	s.stop(syscall.SIGINT, 0)
	if _, said := r.do(7, "broken", "run", "--port", "0"); !strings.Contains(said, "undefined: missing") {
		t.Errorf("it says %s", said)
	}
}
