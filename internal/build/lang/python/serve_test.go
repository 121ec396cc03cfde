package python

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The server's part that is ours, with the functions that users write: hypercorn
// is stood in for, since what it does is its own business.
const serveScript = `
import asyncio, sys, types
for name in ("hypercorn", "hypercorn.asyncio", "hypercorn.config"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["hypercorn.asyncio"].serve = None
sys.modules["hypercorn.config"].Config = type("Config", (), {})
import serve, function

def ask(app, path="/", type="http"):
    sent = []
    async def receive():
        return {"type": "lifespan." + path}
    async def send(message):
        sent.append(message)
    try:
        asyncio.run(app({"type": type, "path": path, "method": "GET"}, receive, send))
    except Exception as error:
        sent.append(error)
    return sent

def brief(sent):
    return [m.get("status") or m.get("body") or m["type"] if isinstance(m, dict) else repr(m) for m in sent]

app = serve.Application(*serve.load())
for path in ("/", "/health/liveness", "/health/readiness", "/fail", "/half"):
    print(path, brief(ask(app, path)))
print("stop", brief(ask(app, "shutdown", "lifespan")))
print(serve.settings().bind, serve.settings().graceful_timeout > 3600)
plain = serve.Application(None, function.new().handle)
print("plain", brief(ask(plain, "/health/readiness")), brief(ask(plain, "shutdown", "lifespan")))
`

const servedFunction = `
class Function:
    async def handle(self, scope, receive, send):
        if scope["path"] == "/fail":
            raise ValueError("secret of the code")
        await send({"type": "http.response.start", "status": 201, "headers": []})
        if scope["path"] == "/half":
            raise ValueError("too late")
        await send({"type": "http.response.body", "body": b"hi"})
    def alive(self):
        return False, "deadlock"
    async def ready(self):
        return True
    def stop(self):
        raise ValueError("no")

def new():
    return Function()
`

func TestServe(t *testing.T) {
	tool, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"serve.py": serveProgram, "function.py": servedFunction, "try.py": serveScript} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(tool, "try.py")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PORT=9000", "LISTEN_ADDRESS=", "PYTHONDONTWRITEBYTECODE=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	want := `/ [201, b'hi']
/health/liveness [503, b'deadlock']
/health/readiness [200, b'OK']
/fail [500, b'the function failed; its log says why\n']
/half [201, "ValueError('too late')"]
stop ['lifespan.shutdown.failed']
['0.0.0.0:9000'] True
plain [200, b'OK'] ['lifespan.shutdown.complete']
`
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if !strings.Contains(stderr.String(), "secret of the code") {
		t.Error("the log does not say what failed")
	}
}
