//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// starter is a template or a project that people have already.
type starter struct {
	language, kind string
	test           [][]string        // its own unit tests, with the language's runner
	adopt          map[string]string // files of existing code; then there is no template
	want           string            // in the answer
}

func starters() map[string]starter {
	npm := [][]string{{"npm", "ci", "--no-audit", "--no-fund"}, {"npm", "test"}}
	cargo := [][]string{{"cargo", "test", "--locked"}}
	return map[string]starter{
		"go-http":                {language: "go", kind: "http", test: [][]string{{"go", "vet", "./..."}, {"go", "test", "./..."}}, want: "Hello, Ada!"},
		"go-cloudevents":         {language: "go", kind: "cloudevents", test: [][]string{{"go", "vet", "./..."}, {"go", "test", "./..."}}, want: "Hello, Ada!"},
		"node-http":              {language: "node", kind: "http", test: npm, want: "Hello, Ada!"},
		"node-cloudevents":       {language: "node", kind: "cloudevents", test: npm, want: "Hello, Ada!"},
		"typescript-http":        {language: "typescript", kind: "http", test: npm, want: "Hello, Ada!"},
		"typescript-cloudevents": {language: "typescript", kind: "cloudevents", test: npm, want: "Hello, Ada!"},
		"python-http": {language: "python", kind: "http", want: "Hello, Ada!", test: [][]string{
			{"python3", "-m", "venv", ".venv"}, {".venv/bin/pip", "install", "--quiet", "pytest"}, {".venv/bin/pytest"},
		}},
		"python-cloudevents": {language: "python", kind: "cloudevents", want: "Hello, Ada!", test: [][]string{
			{"python3", "-m", "venv", ".venv"}, {".venv/bin/pip", "install", "--quiet", "pytest", "-r", "requirements.txt"}, {".venv/bin/pytest"},
		}},
		"rust-http":        {language: "rust", kind: "http", test: cargo, want: "Hello, Ada!"},
		"rust-cloudevents": {language: "rust", kind: "cloudevents", test: cargo, want: "Hello, Ada!"},
		"rust": {want: "rust here", adopt: map[string]string{
			"Cargo.toml": "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
			"Cargo.lock": "version = 3\n\n[[package]]\nname = \"hello\"\nversion = \"0.1.0\"\n",
			"src/main.rs": `use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};

fn answer(mut stream: TcpStream) -> Result<()> {
    let head = BufReader::new(stream.try_clone()?);
    for line in head.lines() {
        if line?.is_empty() {
            break;
        }
    }
    let body = "rust here";
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn main() -> Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    for stream in TcpListener::bind(format!("0.0.0.0:{port}"))?.incoming() {
        let stream = stream?;
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}
`,
		}},
		"java-http":        {language: "java", kind: "http", test: [][]string{{"mvn", "-B", "-q", "test"}}, want: "Hello, Ada!"},
		"java-cloudevents": {language: "java", kind: "cloudevents", test: [][]string{{"mvn", "-B", "-q", "test"}}, want: "Hello, Ada!"},
		"spring": {want: "spring here", adopt: map[string]string{
			"pom.xml": `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-parent</artifactId><version>4.0.7</version><relativePath/></parent>
  <groupId>shop</groupId><artifactId>shop</artifactId><version>1</version>
  <properties><java.version>17</java.version></properties>
  <dependencies><dependency><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-webmvc</artifactId></dependency></dependencies>
  <build><plugins><plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build>
</project>`,
			"src/main/java/shop/Shop.java": "package shop;\n\nimport org.springframework.boot.SpringApplication;\nimport org.springframework.boot.autoconfigure.SpringBootApplication;\nimport org.springframework.web.bind.annotation.GetMapping;\nimport org.springframework.web.bind.annotation.RestController;\n\n@SpringBootApplication\n@RestController\npublic class Shop {\n  public static void main(String[] args) {\n    SpringApplication.run(Shop.class, args);\n  }\n\n  @GetMapping(\"/\")\n  String here() {\n    return \"spring here\";\n  }\n}\n",
			// Knative's word counts more.
			"src/main/resources/application.properties": "server.port=9999\n",
		}},
		"express": {want: "express here", adopt: map[string]string{
			"package.json": `{"private": true, "scripts": {"start": "node server.js"}, "dependencies": {"express": "^5.0.0"}}`,
			"server.js":    "const app = require('express')();\napp.get('/', (_, answer) => answer.send('express here'));\nconst server = app.listen(process.env.PORT || 8080);\n// Node as process 1 does not end on a signal that it does not handle.\nprocess.once('SIGTERM', () => server.close());\n",
		}},
		"flask": {want: "flask here 6", adopt: map[string]string{
			"requirements.txt": "flask\ngunicorn\nnumpy\n",
			"app.py":           "import numpy\nfrom flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/')\ndef here():\n    return f'flask here {numpy.arange(4).sum()}'\n",
		}},
		"django": {want: "django here", adopt: map[string]string{
			"requirements.txt": "django\ngunicorn\n",
			"manage.py":        "import os\nimport sys\n\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nfrom django.core.management import execute_from_command_line\n\nexecute_from_command_line(sys.argv)\n",
			"shop/__init__.py": "",
			"shop/settings.py": "SECRET_KEY = 'of a test'\nALLOWED_HOSTS = ['*']\nROOT_URLCONF = 'shop.urls'\n",
			"shop/urls.py":     "from django.http import HttpResponse\nfrom django.urls import path\n\nurlpatterns = [path('', lambda request: HttpResponse('django here'))]\n",
			"shop/wsgi.py":     "import os\n\nfrom django.core.wsgi import get_wsgi_application\n\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\napplication = get_wsgi_application()\n",
		}},
	}
}

// TestLanguages makes a service of every template and of existing projects: its
// own tests pass, it is built and deployed, and it answers HTTP or a CloudEvent.
// Two of them at once: while one compiles, the other waits for its pod.
func TestLanguages(t *testing.T) {
	shared := t.TempDir()
	slots := make(chan struct{}, 2)
	for name, p := range starters() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			p.live(t, shared)
		})
	}
}

// quickRust are variables with which cargo compiles the same crates once for the
// tests of all templates, and at gate size without optimising them.
func quickRust(shared string) []string {
	env := []string{"CARGO_TARGET_DIR=" + filepath.Join(shared, "cargo")}
	if !full() {
		env = append(env, "CARGO_PROFILE_RELEASE_OPT_LEVEL=0")
	}
	return env
}

func (p starter) live(t *testing.T, shared string) {
	s := newSandbox(t)
	s.env = append(s.env, quickRust(shared)...)
	base := os.Getenv("KN_LITE_E2E_PYTHON_BASE")
	if base == "" {
		t.Fatal("KN_LITE_E2E_PYTHON_BASE is not set; run `make e2e RUN=languages`, or see test/e2e/README.md")
	}
	s.knLiteEnv = append(s.knLiteEnv, "KN_LITE_BASE_IMAGE_PYTHON="+base)
	if p.adopt != nil {
		s.Dir = filepath.Join(s.Dir, "hello")
		for name, text := range p.adopt {
			at := filepath.Join(s.Dir, name)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s.knLite(0, "func", "adopt")
	} else {
		s.knLite(0, "func", "create", "hello", "-l", p.language, "-t", p.kind)
		s.Dir = filepath.Join(s.Dir, "hello")
	}
	for _, command := range p.test {
		program := command[0]
		if strings.HasPrefix(program, ".") {
			program = filepath.Join(s.Dir, program)
		}
		if r := s.run(program, command[1:]...); r.Code != 0 {
			t.Fatalf("%v: exit %d\n%s%s", command, r.Code, r.Stdout, r.Stderr)
		}
	}
	s.knLite(0, "deploy")
	host := s.host("hello")
	if p.kind != "cloudevents" {
		s.eventually(30*time.Second, host+" answers", func() string {
			status, body, err := s.get(host, "/?name=Ada")
			if err == nil && status == http.StatusOK && strings.Contains(body, p.want) {
				return ""
			}
			return fmt.Sprintf("status %d, body %q, %v", status, body, err)
		})
		return
	}
	// The same event in both modes.
	for mode, send := range map[string]struct {
		header map[string]string
		body   string
	}{
		"binary":     {map[string]string{"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Id": "1", "Ce-Source": "/e2e", "Ce-Type": "greet"}, `{"name":"Ada"}`},
		"structured": {map[string]string{"Content-Type": "application/cloudevents+json"}, `{"specversion":"1.0","id":"1","source":"/e2e","type":"greet","datacontenttype":"application/json","data":{"name":"Ada"}}`},
	} {
		s.eventually(30*time.Second, host+" answers an event in "+mode+" mode", func() string {
			status, header, body, err := s.post(host, send.header, send.body)
			if err == nil && status == http.StatusOK && header.Get("Ce-Type") == "function.greeted" && strings.Contains(body, p.want) {
				return ""
			}
			return fmt.Sprintf("status %d, headers %v, body %q, %v", status, header, body, err)
		})
	}
	if status, _, body, err := s.post(host, nil, "no event"); err != nil || status != http.StatusBadRequest {
		t.Errorf("what is no event: status %d, body %q, %v", status, body, err)
	}
}

// post sends one request with a body through the ingress.
func (s *sandbox) post(host string, header map[string]string, body string) (status int, got http.Header, answer string, err error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+host+"/", strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, resp.Header, string(raw), err
}
