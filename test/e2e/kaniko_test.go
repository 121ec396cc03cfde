//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// needsKaniko skips what needs kaniko's executor.
func needsKaniko(t *testing.T) {
	t.Helper()
	if os.Getenv("KN_LITE_E2E_KANIKO") == "" {
		t.Skip("kaniko takes minutes to compile: make e2e RUN=kaniko, or FULL=1")
	}
}

// kanikoImage pushes the executor as kn-lite packs it.
func (s *sandbox) kanikoImage() string {
	s.t.Helper()
	return strings.TrimSpace(s.knLite(0, "internal", "kaniko-image", s.Registry+"/tools/kaniko:v1.24.0", s.program(s.t, "kaniko")).Stdout)
}

// upstreamImage pushes the same program, unchanged, as kaniko's own project packs it.
func (s *sandbox) upstreamImage() string {
	s.t.Helper()
	dir := s.Dir
	defer func() { s.Dir = dir }()
	s.Dir = s.t.TempDir()
	raw, err := os.ReadFile(s.program(s.t, "kaniko"))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Dir, "executor"), raw, 0o755)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("nsswitch.conf", "hosts: files dns\n")
	s.write("Dockerfile", `FROM scratch
COPY nsswitch.conf /etc/nsswitch.conf
ENV HOME=/root USER=root PATH=/usr/local/bin:/kaniko SSL_CERT_DIR=/kaniko/ssl/certs DOCKER_CONFIG=/kaniko/.docker/
COPY executor /kaniko/executor
WORKDIR /workspace
ENTRYPOINT ["/kaniko/executor"]
`)
	image := s.Registry + "/tools/executor:v1.24.0"
	s.knLite(0, "build", "--builder", "dockerfile", "--push", "--image", image)
	return image
}

// authFile gives the builds credentials, one of which is for the registry.
func (s *sandbox) authFile() {
	s.t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte("user:" + password))
	s.write("auth.json", fmt.Sprintf(`{"auths": {%q: {"auth": %q}, "other.example": {"auth": %q}}}`, s.Registry, auth, auth))
}

// TestKaniko builds the Go, Node and Dockerfile examples with kaniko in the cluster and
// deploys them, with our image and with an unmodified executor's.
func TestKaniko(t *testing.T) {
	needsKaniko(t)
	tools := newSandbox(t)
	for name, image := range map[string]string{"ours": tools.kanikoImage(), "upstream": tools.upstreamImage()} {
		for _, example := range []struct {
			name string
			make func(s *sandbox)
			want string // in what it answers
		}{{"go", kanikoGo, "hello from Go"}, {"node", kanikoNode, "Hello, World!"}, {"dockerfile", kanikoDockerfile, "hello $(HOME) $$kaniko"}} {
			t.Run(name+"/"+example.name, func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t)
				s.Dir = filepath.Join(s.Dir, "app")
				example.make(s)
				s.authFile()
				s.knLiteEnv = []string{"KN_LITE_KANIKO_IMAGE=" + image}
				deployed := s.knLite(0, "deploy", "--builder", "kaniko", "--authfile", "auth.json", "--build-arg", "GREETING=$(HOME) $$kaniko")
				s.nothingLeft()
				s.answers(s.host("app"), func(body string) bool {
					return strings.Contains(body, "hello") || strings.Contains(body, "Hello") || body != ""
				})
				for _, text := range []string{deployed.Stderr, deployed.Stdout} {
					if strings.Contains(text, password) {
						t.Error("a password is in the output")
					}
				}
			})
		}
	}
}

// kanikoGo is the Go template; its program is compiled here, on an empty base.
func kanikoGo(s *sandbox) {
	s.write("main.go", `package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello from Go") })
	fmt.Println(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`)
	s.write("go.mod", "module app\n\ngo 1.26\n")
	if r := s.runWith([]string{"CGO_ENABLED=0"}, s.program(s.t, "go"), "build", "-o", "app", "."); r.Code != 0 {
		s.t.Fatalf("go build: %s", r.Stderr)
	}
	s.write("Dockerfile", "FROM scratch\nCOPY app /app\nUSER 1000\nENTRYPOINT [\"/app\"]\n")
	s.write("func.yaml", "specVersion: 0.36.0\nname: app\nruntime: container\n")
}

// kanikoNode is the Node template with a Dockerfile; npm is run here.
func kanikoNode(s *sandbox) {
	dir := s.Dir
	s.Dir = filepath.Dir(dir)
	s.knLite(0, "func", "create", "app", "-l", "node")
	s.Dir = dir
	s.ok("npm", "install", "--omit=dev", "--no-audit", "--no-fund")
	s.write("Dockerfile", "FROM "+s.NodeBase+"\nWORKDIR /app\nCOPY . .\nENV HOME=/tmp\nUSER 1000\nCMD [\"node\", \"node_modules/faas-js-runtime/bin/cli.js\", \".\"]\n")
	s.edit("func.yaml", "runtime: node", "runtime: container")
}

// kanikoDockerfile has two stages, RUN, an argument and an ignored file; what is
// wrong in it fails the build.
func kanikoDockerfile(s *sandbox) {
	s.write("Dockerfile", "FROM "+s.NodeBase+` AS build
ARG GREETING=nobody
ARG TARGETARCH
WORKDIR /app
COPY . .
RUN test ! -e ignored && test ! -e .kn-lite-kaniko && test "$(stat -c %u server.js)" = 0
RUN test "$GREETING" = '$(HOME) $$kaniko' && test "$TARGETARCH" != "" && echo "hello $GREETING" > greeting && echo said by RUN

FROM `+s.NodeBase+`
COPY --from=build /app /app
USER 1000
CMD ["node", "/app/server.js"]
`)
	s.write(".dockerignore", "ignored\nauth.json\n")
	s.write("ignored", "not to be sent")
	s.write("func.yaml", "specVersion: 0.36.0\nname: app\nruntime: container\n")
	s.write("server.js", `const http = require('http'), fs = require('fs');
const server = http.createServer((_, answer) => answer.end(fs.readFileSync('/app/greeting')));
server.listen(process.env.PORT || 8080);
process.once('SIGTERM', () => server.close());
`)
}

// TestKanikoAnswers: the same input gives the same digest, whatever the folder; a
// Dockerfile may stand outside of the context; documents are attached.
func TestKanikoAnswers(t *testing.T) {
	needsKaniko(t)
	s := clusterProject(t, "COPY server.js .\nRUN echo more > more\n")
	s.knLiteEnv = []string{"KN_LITE_KANIKO_IMAGE=" + s.kanikoImage()}
	first := s.knLite(0, "build", "--builder", "kaniko", "--push").Stdout
	s.write("../elsewhere/Dockerfile.web", "FROM "+s.NodeBase+"\nARG GREETING=nobody\nWORKDIR /app\nCOPY server.js .\nRUN echo more > more\n")
	second := s.knLite(0, "build", "--builder", "kaniko", "--push", "--no-cache", "--file", "../elsewhere/Dockerfile.web").Stdout
	if first != second {
		t.Errorf("two builds of the same gave\n%s%s", first, second)
	}
	if out := s.knLite(0, "image", "inspect", strings.TrimSpace(first)).Stdout; !strings.Contains(out, "sbom  ") || !strings.Contains(out, "origin  ") {
		t.Errorf("no SBOM is attached:\n%s", out)
	}
	s.nothingLeft()
}

// TestKanikoFails: each end that is none is one error with the exit code of its kind,
// and leaves nothing.
func TestKanikoFails(t *testing.T) {
	needsKaniko(t)
	s := clusterProject(t, "RUN echo before && exit 3\n")
	s.knLiteEnv = []string{"KN_LITE_KANIKO_IMAGE=" + s.kanikoImage()}
	fails := func(code int, want string, args ...string) {
		t.Helper()
		r := s.knLite(code, append([]string{"build", "--builder", "kaniko", "--push", "--authfile", "auth.json"}, args...)...)
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("stderr does not say %q", want)
		}
		s.nothingLeft()
	}
	fails(7, "RUN echo before && exit 3: exit code 3")
	fails(1, "an image of kaniko's executor?", "--builder-image", s.NodeBase)
	fails(5, "cannot pull the image of the build pod", "--builder-image", s.Registry+"/there/is:none")
	fails(2, "--network", "--network", "none")
	fails(2, "--secret", "--secret", "id=token,src=token")
	fails(2, "--platform", "--platform", "linux/amd64,linux/arm64")
	s.write("Dockerfile", "FROM "+s.NodeBase+"\nRUN <<EOF\nfalse\nEOF\n")
	fails(2, "Dockerfile:2: RUN <<EOF: kaniko before 1.25 does not know here-documents")
	s.write("Dockerfile", "FROM "+s.Registry+"/no/such:image\nRUN true\n")
	fails(5, "no/such")
	s.write("Dockerfile", "FROM "+s.NodeBase+"\nRUN sleep 600\n")
	fails(8, "--timeout gives it more time", "--timeout", "25s")
}

// TestKanikoInterrupted stops kn-lite while kaniko's RUN runs.
func TestKanikoInterrupted(t *testing.T) {
	needsKaniko(t)
	s := clusterProject(t, "RUN echo it runs && sleep 600\n")
	s.knLiteEnv = []string{"KN_LITE_KANIKO_IMAGE=" + s.kanikoImage()}
	s.interrupted("build", "--builder", "kaniko", "--push", "--authfile", "auth.json")
}
