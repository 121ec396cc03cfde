//go:build unix

package devrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// The test binary is also the program that is run.
func TestMain(m *testing.M) {
	if kind := os.Getenv("DEVRUN_PROGRAM"); kind != "" {
		program(kind)
		return
	}
	goleak.VerifyTestMain(m)
}

// program answers with the variable ANSWER, in one of several ways.
func program(kind string) {
	address := os.Getenv("LISTEN_ADDRESS")
	switch kind {
	case "exit":
		fmt.Fprintln(os.Stderr, "last words")
		os.Exit(3)
	case "silent":
		select {}
	case "own-port":
		address = "127.0.0.1:" + os.Getenv("OWN_PORT")
	case "grandchild":
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "DEVRUN_PROGRAM=silent")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			panic(err)
		}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(300 * time.Millisecond)
		case "/exit":
			os.Exit(7)
		}
		fmt.Fprintf(w, "%s %s", os.Getenv("ANSWER"), r.Host)
	}))
}

// maker makes what a test says.
type maker struct {
	dir string

	mu   sync.Mutex
	kind string
	text string
	last string
	fail error
	more []string
	slow time.Duration // of Sources
}

func (m *maker) set(kind, text string, fail error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kind, m.text, m.fail = kind, text, fail
}

func (m *maker) Make(context.Context) (*Program, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, false, m.fail
	}
	changed := m.last != m.kind+m.text
	m.last = m.kind + m.text
	return &Program{Command: []string{os.Args[0]}, Dir: m.dir, Env: append(m.more, "DEVRUN_PROGRAM="+m.kind, "ANSWER="+m.text)}, changed, nil
}

func (m *maker) Sources(ctx context.Context) (*Sources, error) {
	m.mu.Lock()
	slow := m.slow
	m.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
	}
	return &Sources{Folders: []Folder{{Dir: m.dir}}}, nil
}

// report is what was said.
type report struct {
	progress.Reporter // for what no run reports

	mu   sync.Mutex
	said bytes.Buffer
}

func (r *report) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.said, format+"\n", args...)
}
func (r *report) Step(text string) { r.add("done: %s", text) }
func (r *report) Note(text string) { r.add("note: %s", text) }
func (r *report) Warn(text string) { r.add("warning: %s", text) }
func (r *report) Fault(err error)  { r.add("error: %v", err) }
func (r *report) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

// run is one Run under way.
type run struct {
	*maker
	*report
	t     *testing.T
	url   string
	port  int
	end   func() error
	force context.CancelFunc
}

// begin runs the program until the test ends.
func begin(t *testing.T, kind string, more ...string) *run {
	t.Helper()
	return beginSlow(t, 0, kind, more...)
}

// beginSlow is begin with sources that are found out slowly.
func beginSlow(t *testing.T, slow time.Duration, kind string, more ...string) *run {
	t.Helper()
	listeners, port, err := Listen(t.Context(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{maker: &maker{dir: t.TempDir(), kind: kind, text: "first", more: more, slow: slow}, report: &report{}, t: t, port: port, url: "http://127.0.0.1:" + strconv.Itoa(port)}
	for i, kv := range more {
		more[i] = strings.ReplaceAll(kv, "PUBLIC", strconv.Itoa(port))
	}
	ctx, cancel := context.WithCancel(context.Background())
	force, kill := context.WithCancel(context.Background())
	r.force = kill
	served := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Maker: r.maker, Listeners: listeners, Port: port, Environ: os.Environ(), Out: io.Discard, Err: io.Discard, Report: r.report, Fault: r.report.Fault,
			Name: "it", Now: time.Now, StartBudget: 20 * time.Second, Force: force,
			Served: func() error { close(served); return nil },
		})
	}()
	r.end = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		http.DefaultClient.CloseIdleConnections()
		return err
	})
	t.Cleanup(func() {
		kill()
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	if kind != "exit" && kind != "silent" {
		select {
		case <-served:
		case <-time.After(20 * time.Second):
			t.Fatalf("it does not serve: %s", r.report)
		}
	}
	return r
}

// save changes the sources.
func (r *run) save() {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "source"), []byte(time.Now().String()), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) get(path string) (int, string, error) {
	response, err := http.Get(r.url + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// waits until what it says, or the answer, has text in it.
func (r *run) waits(text string) {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		_, body, err := r.get("/")
		if err == nil && strings.Contains(body, text) || strings.Contains(r.report.String(), text) {
			return
		}
	}
	r.t.Fatalf("nothing with %q: %s", text, r.report)
}

// TestNoRequestIsLost sends requests without a pause while programs are replaced:
// each has an answer, and one under way is answered by the program that began it.
func TestNoRequestIsLost(t *testing.T) {
	r := begin(t, "plain")
	stop := make(chan struct{})
	var failed []string
	var count int
	var clients sync.WaitGroup
	clients.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			status, body, err := r.get("/")
			if count++; err != nil || status != http.StatusOK {
				failed = append(failed, fmt.Sprint(status, body, err))
			}
		}
	})
	for n := range 4 {
		slow := make(chan string, 1)
		go func() {
			_, body, err := r.get("/slow")
			slow <- fmt.Sprint(body, err)
		}()
		time.Sleep(100 * time.Millisecond) // the request is under way
		before := "first"
		if n > 0 {
			before = fmt.Sprintf("next%d", n-1)
		}
		r.set("plain", fmt.Sprintf("next%d", n), nil)
		r.save()
		if got := <-slow; !strings.HasPrefix(got, before) && !strings.HasPrefix(got, fmt.Sprintf("next%d", n)) {
			t.Errorf("the slow request: %s", got)
		}
		r.waits(fmt.Sprintf("next%d ", n))
	}
	close(stop)
	clients.Wait()
	if len(failed) > 0 || count < 20 {
		t.Errorf("%d of %d requests failed: %v", len(failed), count, failed)
	}
}

// TestBrokenGoesOn has the old program serve while the new one does not build or start.
func TestBrokenGoesOn(t *testing.T) {
	r := begin(t, "plain")
	for _, broken := range []func(){
		func() { r.set("plain", "broken", fault.New(fault.Build, "test", "it", "does not compile")) },
		func() { r.set("exit", "broken", nil) },
		func() { r.set("missing", "broken", errors.New("no such thing")) },
	} {
		broken()
		r.save()
		r.waits("note: the program that was started before goes on")
		if _, body, err := r.get("/"); err != nil || !strings.HasPrefix(body, "first") {
			t.Errorf("the answer is %s %v", body, err)
		}
		r.report.mu.Lock()
		r.report.said.Reset()
		r.report.mu.Unlock()
	}
	r.set("plain", "mended", nil)
	r.save()
	r.waits("mended ")
}

// TestNeverStarted is a program that ends at once: its reason is the answer, and a
// save starts it.
func TestNeverStarted(t *testing.T) {
	r := begin(t, "exit")
	r.waits("the program has ended before it listened: exit code 3")
	if status, body, err := r.get("/"); err != nil || status != http.StatusBadGateway || !strings.Contains(body, "exit code 3") {
		t.Errorf("the answer is %d %s %v", status, body, err)
	}
	r.set("plain", "mended", nil)
	r.save()
	r.waits("mended ")
	if _, _, err := r.get("/exit"); err != nil {
		t.Error(err)
	}
	r.waits("error: it: the program has ended: exit code 7")
	r.save()
	r.waits("mended ")
}

// TestSavedEarly saves a file before it is known which ones count.
func TestSavedEarly(t *testing.T) {
	r := beginSlow(t, 300*time.Millisecond, "plain")
	r.set("plain", "second", nil)
	r.save()
	r.waits("second ")
}

// TestSuperseded is a program that never listens: the next save takes its place.
func TestSuperseded(t *testing.T) {
	r := begin(t, "silent")
	time.Sleep(50 * time.Millisecond)
	r.set("plain", "second", nil)
	r.save()
	r.waits("second ")
}

// TestOwnPort is a program that listens on the address of the requests itself,
// whatever it is told.
func TestOwnPort(t *testing.T) {
	r := begin(t, "own-port", "OWN_PORT=PUBLIC")
	r.waits("note: it seems to listen on a port of its own")
	r.waits("first ")
	r.set("own-port", "second", nil)
	r.save()
	r.waits("second ")
}

// TestFixedPort is a program whose other port only one of them can have.
func TestFixedPort(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	r := begin(t, "plain", "OWN_PORT="+strconv.Itoa(port))
	taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r.set("own-port", "second", nil)
	r.save()
	r.waits("a port that it wants is the old program's")
	r.waits("nothing serves now")
}

// TestNothingIsLeft ends programs that do not want to end, and what has left their
// process group.
func TestNothingIsLeft(t *testing.T) {
	for _, kind := range []string{"stubborn", "grandchild"} {
		t.Run(kind, func(t *testing.T) {
			mark := "DEVRUN_MARK=" + t.TempDir()
			r := begin(t, kind, mark)
			if kind == "stubborn" {
				time.AfterFunc(100*time.Millisecond, r.force)
			}
			began := time.Now()
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v to end", took)
			}
			if _, err := os.Stat("/proc/self/environ"); err != nil {
				t.Skip("there is no list of processes")
			}
			var left []string
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if left = marked(mark); len(left) == 0 {
					return
				}
			}
			t.Errorf("processes are left: %v", left)
		})
	}
}

func marked(mark string) (out []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && bytes.Contains(raw, []byte(mark)) {
			out = append(out, file)
		}
	}
	return out
}
