//go:build unix

package python

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventFunction answers in the way that the data of the event names.
const eventFunction = `
from cloudevents.core.v1.event import CloudEvent

async def handle(scope, receive, send):
    event = scope["event"]
    how = event.get_data()["how"]
    answer = CloudEvent(attributes={"type": "answer", "source": "/test", "id": event.get_id()}, data={"to": event.get_type()})
    if how == "binary":
        await send.binary(answer, 202)
    elif how == "structured":
        await send(answer)
    elif how == "http":
        await send.http({"type": "http.response.start", "status": 418, "headers": []})
        await send.http({"type": "http.response.body", "body": b"plain"})
    elif how == "fail":
        raise ValueError("secret of the code")
`

// A function of events on the real server and with the real SDK.
func TestServeEvents(t *testing.T) {
	tool, err := exec.LookPath("python3")
	if err != nil || testing.Short() {
		t.Skip("there is no python3, or no time for pip")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"serve.py": serveProgram, "function.py": eventFunction, "server.txt": string(serverRequirements)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"--target=lib", "--requirement=server.txt"}, {"--target=sdk", "cloudevents==2.2.0"}} {
		pip := exec.Command(tool, append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"}, args...)...)
		pip.Dir = dir
		if out, err := pip.CombinedOutput(); err != nil {
			t.Fatalf("pip: %v\n%s", err, out)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	cmd := exec.Command(tool, "serve.py", "events")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LISTEN_ADDRESS="+address, "PYTHONPATH="+filepath.Join(dir, "sdk"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not listen: %v\n%s", err, stderr.String())
		}
	}

	binary := map[string]string{"Ce-Specversion": "1.0", "Ce-Id": "7", "Ce-Source": "/test", "Ce-Type": "ask", "Content-Type": "application/json"}
	structured := map[string]string{"Content-Type": "application/cloudevents+json; charset=utf-8"}
	inside := `{"specversion":"1.0","id":"7","source":"/test","type":"ask","data":{"how":"%s"}}`
	tests := []struct {
		name   string
		header map[string]string
		body   string
		status int
		kind   string // the answer's Ce-Type
		want   string // in its body
	}{
		{"binary in and out", binary, `{"how":"binary"}`, 202, "answer", `{"to": "ask"}`},
		{"structured in, binary out", structured, fmt.Sprintf(inside, "binary"), 202, "answer", `{"to": "ask"}`},
		{"structured out", binary, `{"how":"structured"}`, 200, "", `"type": "answer"`},
		{"no event out", binary, `{"how":"http"}`, 418, "", "plain"},
		{"no answer", binary, `{"how":""}`, 204, "", ""},
		{"a mistake of the code", structured, fmt.Sprintf(inside, "fail"), 500, "", "its log says why"},
		{"no event", nil, "no event", 400, "", "not a CloudEvent: there are neither Ce- headers"},
		{"any JSON", map[string]string{"Content-Type": "application/json"}, `{"type":"ask","source":"/test"}`, 400, "", "not a CloudEvent"},
		{"half an event", map[string]string{"Ce-Type": "ask", "Ce-Source": "/test"}, `{}`, 400, "", "an attribute is missing"},
		{"a broken one", structured, "{", 400, "", "not a CloudEvent"},
		{"a list", structured, "[]", 400, "", "not a CloudEvent"},
		{"another version", map[string]string{"Ce-Specversion": "9", "Ce-Id": "7", "Ce-Source": "/test", "Ce-Type": "ask"}, "", 400, "", "not a CloudEvent"},
	}
	for _, tt := range tests {
		req, err := http.NewRequest(http.MethodPost, "http://"+address+"/", strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range tt.header {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v\n%s", tt.name, err, stderr.String())
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || resp.Header.Get("Ce-Type") != tt.kind || !strings.Contains(string(body), tt.want) || strings.Contains(string(body), "secret") {
			t.Errorf("%s: %d, %v, %q, %v", tt.name, resp.StatusCode, resp.Header, body, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	stopped = true
	if err := cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, stderr.String())
	}
	if !strings.Contains(stderr.String(), "secret of the code") {
		t.Error("the log does not say what failed")
	}
}
