package node

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// serveSite starts the server of sites on the files and returns its address.
func serveSite(t *testing.T, files map[string]string) string {
	t.Helper()
	tool, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node")
	}
	p, _ := open(t, files)
	script := filepath.Join(t.TempDir(), "site.cjs")
	if err := os.WriteFile(script, siteServer, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(p.Dir, "passwd")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), tool, script, p.Dir)
	cmd.Env, cmd.Stderr = append(os.Environ(), "PORT=0"), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	_, port, ok := strings.Cut(strings.TrimSpace(line), "on port ")
	if err != nil || !ok {
		t.Fatalf("it says %q, %v", line, err)
	}
	return "http://127.0.0.1:" + port
}

func TestSiteServer(t *testing.T) {
	long := strings.Repeat("body { color: red }\n", 200)
	app := serveSite(t, map[string]string{
		"index.html": "<p>home", "about.html": "<p>about", "docs/index.html": "<p>docs", "style.css": long, "assets/index-BJ2kx81Q.js": "let a", "video.mp4": "0123456789",
		".env": "secret", ".well-known/security.txt": "contact", "a b&c.txt": "odd name", "empty.txt": "",
	})
	pages := serveSite(t, map[string]string{"index.html": "<p>home", "404.html": "<p>lost"})
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	}
	for _, tt := range []struct {
		at, method, path string
		header           []string
		status           int
		body             string
		answer           []string // headers
	}{
		{app, "GET", "/", nil, 200, "<p>home", []string{"Content-Type: text/html; charset=utf-8", "Cache-Control: no-cache", "X-Content-Type-Options: nosniff"}},
		{app, "HEAD", "/", nil, 200, "", []string{"Content-Length: 7"}},
		{app, "GET", "/?utm=1", nil, 200, "<p>home", nil},
		{app, "GET", "/about", nil, 200, "<p>about", nil},
		{app, "GET", "/docs?a=1?b", nil, 301, "it is at /docs/?a=1?b\n", []string{"Location: /docs/?a=1?b"}},
		{app, "GET", "/docs/", nil, 200, "<p>docs", nil},
		{app, "GET", "/orders/7", nil, 200, "<p>home", nil},
		{app, "GET", "/missing.js", nil, 404, "there is no such file\n", nil},
		{app, "GET", "/assets/index-BJ2kx81Q.js", nil, 200, "let a", []string{"Content-Type: text/javascript; charset=utf-8", "Cache-Control: public, max-age=31536000, immutable"}},
		{app, "GET", "/style.css", []string{"Accept-Encoding: br, gzip"}, 200, long, []string{"Content-Encoding: gzip", "Vary: Accept-Encoding"}},
		{app, "GET", "/style.css", []string{"Accept-Encoding: gzip;q=0"}, 200, long, []string{"Content-Encoding: ", "Vary: Accept-Encoding"}},
		{app, "GET", "/video.mp4", []string{"Range: bytes=2-4"}, 206, "234", []string{"Content-Range: bytes 2-4/10", "Content-Type: video/mp4"}},
		{app, "GET", "/video.mp4", []string{"Range: bytes=-3"}, 206, "789", nil},
		{app, "GET", "/video.mp4", []string{"Range: bytes=10-"}, 416, "no such range\n", []string{"Content-Range: bytes */10"}},
		{app, "GET", "/video.mp4", []string{"Range: bytes=2-4", `If-Range: "other"`}, 200, "0123456789", nil},
		{app, "GET", "/empty.txt", nil, 200, "", []string{"Content-Length: 0"}},
		{app, "GET", "/a%20b%26c.txt", nil, 200, "odd name", nil},
		{app, "GET", "/.well-known/security.txt", nil, 200, "contact", nil},
		{app, "GET", "/.env", nil, 200, "<p>home", nil}, // not the file
		{app, "GET", "/passwd", nil, 200, "<p>home", nil},
		{app, "GET", "/../../etc/passwd", nil, 200, "<p>home", nil},
		{app, "GET", "/%2e%2e/%2e%2e/etc/hosts.txt", nil, 404, "there is no such file\n", nil},
		{app, "GET", "//evil.example/docs", nil, 200, "<p>home", nil},
		{app, "GET", "/%", nil, 400, "the path is not encoded as in URLs\n", nil},
		{app, "GET", "/%00.txt", nil, 404, "there is no such file\n", nil},
		{app, "POST", "/", nil, 405, "this is a site of files\n", []string{"Allow: GET, HEAD"}},
		{pages, "GET", "/orders/7", nil, 404, "<p>lost", nil},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, tt.at, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = tt.path // as it is
		for _, header := range tt.header {
			name, value, _ := strings.Cut(header, ": ")
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.path, err)
			continue
		}
		var from io.Reader = resp.Body
		if resp.Header.Get("Content-Encoding") == "gzip" {
			if from, err = gzip.NewReader(resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		body, err := io.ReadAll(from)
		if err != nil || resp.StatusCode != tt.status || string(body) != tt.body {
			t.Errorf("%s %s %q: %d %.60q, %v; want %d %.60q", tt.method, tt.path, tt.header, resp.StatusCode, body, err, tt.status, tt.body)
		}
		for _, header := range tt.answer {
			name, value, _ := strings.Cut(header, ": ")
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s %s %q: %s is %q, want %q", tt.method, tt.path, tt.header, name, got, value)
			}
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if tag := resp.Header.Get("ETag"); tag != "" && tt.status == 200 && tt.method == "GET" {
			req.Header.Set("If-None-Match", `"x", W/`+tag)
			again, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if again.StatusCode != http.StatusNotModified {
				t.Errorf("%s with its ETag: %d", tt.path, again.StatusCode)
			}
			if err := again.Body.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
