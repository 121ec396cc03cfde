//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// password is in the credentials of the builds, and must be nowhere else.
const password = "the-password-of-the-test-registry"

// clusterProject is a folder with a Dockerfile whose RUN leaves traces of what it
// could see, and a namespace to build it in.
func clusterProject(t *testing.T, steps string) *sandbox {
	t.Helper()
	s := newSandbox(t)
	s.Dir = filepath.Join(s.Dir, "app")
	s.write("Dockerfile", "FROM "+s.NodeBase+"\nARG GREETING=nobody\nWORKDIR /app\n"+steps)
	s.write("func.yaml", "specVersion: 0.36.0\nname: app\nruntime: container\n")
	s.write("server.js", `const http = require('http'), fs = require('fs');
const server = http.createServer((_, answer) => answer.end(fs.readFileSync('/app/greeting')));
server.listen(process.env.PORT || 8080);
process.once('SIGTERM', () => server.close());
`)
	s.write("token", "a build secret\n")
	s.write(".dockerignore", "token\nauth.json\nignored\n")
	s.write("ignored", "not to be sent")
	s.write(".env", "A_SECRET=of-the-folder\n")
	auth := base64.StdEncoding.EncodeToString([]byte("user:" + password))
	s.write("auth.json", fmt.Sprintf(`{"auths": {%q: {"auth": %q}, "other.example": {"auth": %q}}}`, s.Registry, auth, auth))
	return s
}

func (s *sandbox) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// nothingLeft is asked right after kn-lite has ended.
func (s *sandbox) nothingLeft() {
	s.t.Helper()
	if left := s.names("jobs,pods,secrets", "-l", "app.kubernetes.io/name=kn-lite-build"); len(left) > 0 {
		s.t.Errorf("the build left %v behind", left)
	}
}

const goodSteps = `COPY . .
RUN --mount=type=secret,id=token,required \
    test "$(wc -c < /run/secrets/token)" = 15 && ls -a > files && echo "hello $GREETING" > greeting && \
    cp /usr/bin/id /usr/bin/suid && chmod 4755 /usr/bin/suid && chown 1000:42 files && \
    echo said by RUN && (cat /var/run/kn-lite/config.json /proc/1/environ /var/run/secrets/kubernetes.io/serviceaccount/token || true)
USER 1000
RUN test "$(suid -u)" = 0
CMD ["node", "/app/server.js"]
`

// TestClusterBuild is the whole of it: a Dockerfile is built in the cluster, is
// deployed and answers; the image is the one that this machine builds; what was
// secret is nowhere; and nothing is left in the cluster.
func TestClusterBuild(t *testing.T) {
	s := clusterProject(t, goodSteps)
	// A context that does not fit into any buffer on its way.
	noise := rand.NewChaCha8([32]byte{1})
	for i := range 6 {
		block := make([]byte, 10<<20)
		_, _ = noise.Read(block)
		s.write(fmt.Sprintf("data/%d", i), string(block))
	}
	flags := []string{"--authfile", "auth.json", "--build-arg", "GREETING=cluster", "--secret", "id=token,src=token"}

	deployed := s.knLite(0, append([]string{"deploy", "--builder", "cluster"}, flags...)...)
	s.nothingLeft()
	host := s.host("app")
	s.answers(host, func(body string) bool { return body == "hello cluster\n" })
	_, seen, _ := strings.Cut(deployed.Stderr, "\nsaid by RUN\n")
	// RUN looked for what belongs to the pod.
	if !strings.Contains(seen, "config.json: No such file") || strings.Contains(seen, "auths") || strings.Contains(seen, "XDG_CACHE_HOME=") {
		t.Errorf("the output of RUN is %q", seen)
	}
	if !strings.Contains(deployed.Stderr, "left out of the image as likely secrets: .env") {
		t.Error("no word about the file that looks like a secret")
	}

	image := s.kubectl("-n", s.Namespace, "get", "ksvc", "app", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	local := s.knLite(0, append([]string{"build", "--builder", "dockerfile", "-o", "oci:" + t.TempDir()}, flags...)...)
	if _, digest, _ := strings.Cut(strings.TrimSpace(local.Stdout), "@"); !strings.HasSuffix(image, "@"+digest) {
		t.Errorf("the cluster built %s, this machine %s", image, digest)
	}

	pod := s.names("pods", "-l", "serving.knative.dev/service=app")[0]
	in := func(command string) string {
		return s.kubectl("-n", s.Namespace, "exec", pod, "-c", "user-container", "--", "sh", "-c", command)
	}
	if files := strings.Fields(in("cat /app/files")); strings.Join(files, " ") != ". .. .dockerignore Dockerfile data files func.yaml server.js" {
		t.Errorf("the context in the image is %q", files)
	}
	for _, place := range []string{deployed.Stderr, deployed.Stdout, local.Stderr} {
		if strings.Contains(place, password) || strings.Contains(place, "a build secret") {
			t.Error("a secret is in the output")
		}
	}
}

// TestClusterBuildAnswersInJSON compares the answer with that of a build here.
func TestClusterBuildAnswersInJSON(t *testing.T) {
	s := clusterProject(t, "COPY server.js .\nRUN echo more > more\n")
	answer := func(builder string) map[string]any {
		r := s.knLite(0, "build", "--builder", builder, "--push", "--no-cache", "-o", "json")
		var got map[string]any
		if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	here, there := answer("dockerfile"), answer("cluster")
	if a, b := fmt.Sprint(here), fmt.Sprint(there); a != b {
		t.Errorf("the answers differ:\n%s\n%s", a, b)
	}
}

// TestClusterBuildCache: a pod finds what another pod has run, and this machine too.
func TestClusterBuildCache(t *testing.T) {
	s := clusterProject(t, "RUN echo once > /once\n")
	s.knLiteEnv = []string{"KN_LITE_CACHE_REPO=" + s.Registry + "/" + s.Namespace + "/cache"}
	build := func(builder string) result { return s.knLite(0, "build", "--builder", builder, "--push") }
	first := build("cluster")
	for _, builder := range []string{"cluster", "dockerfile"} {
		again := build(builder)
		if !strings.Contains(again.Stderr, "cached: RUN echo once") || again.Stdout != first.Stdout {
			t.Errorf("the second build, by %s, is %q, the first %q", builder, again.Stdout, first.Stdout)
		}
	}
}

// TestClusterBuildFails looks at ends that are none: each is told in one error,
// with the exit code of its kind, and leaves nothing.
func TestClusterBuildFails(t *testing.T) {
	t.Parallel()
	s := clusterProject(t, "RUN echo before && exit 3\n")
	build := func(code int, args ...string) result {
		t.Helper()
		defer s.nothingLeft()
		return s.knLite(code, append([]string{"build", "--builder", "cluster", "--push", "--authfile", "auth.json"}, args...)...)
	}
	says := func(r result, want ...string) {
		t.Helper()
		for _, text := range want {
			if !strings.Contains(r.Stderr, text) {
				t.Errorf("stderr does not say %q:\n%s", text, r.Stderr)
			}
		}
	}
	says(build(7), "before", "error: Dockerfile:4: ", "exit code 3")
	says(build(8, "--builder-resources", "cpu=1000", "--timeout", "10s"), "the build pod did not start in time", "Insufficient cpu", "--builder-resources")
	says(build(5, "--builder-image", s.Registry+"/there/is:none"), "the node cannot pull the image of the build pod", "--builder-image")
	says(build(1, "--builder-image", s.NodeBase), "is "+s.NodeBase+" an image of kn-lite?")
	// A small program, which the kernel kills at once: of a large one it first throws
	// the code out of memory again and again, for minutes.
	s.write("Dockerfile", "FROM "+s.NodeBase+"\nRUN tail /dev/zero\n")
	says(build(7, "--builder-resources", "memory=128Mi"), "--builder-resources memory=4Gi")
	s.write("Dockerfile", "FROM "+s.NodeBase+"\nRUN sleep 600\n")
	says(build(8, "--timeout", "15s"), "--timeout gives it more time")

	// A user who may do nothing in the namespace.
	r := s.knLite(4, "build", "--builder", "cluster", "--push", "--builder-namespace", "kube-public", "--kubeconfig", s.weakling())
	says(r, "not permitted to get configmaps in all namespaces", "loopback")
}

// weakling is the kubeconfig of a service account without any rights.
func (s *sandbox) weakling() string {
	s.t.Helper()
	s.kubectl("-n", s.Namespace, "create", "serviceaccount", "weakling")
	token := strings.TrimSpace(s.kubectl("-n", s.Namespace, "create", "token", "weakling"))
	file := filepath.Join(s.t.TempDir(), "kubeconfig")
	raw, err := os.ReadFile(s.Kubeconfig)
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.kubectl("--kubeconfig", file, "config", "set-credentials", "weakling", "--token", token)
	s.kubectl("--kubeconfig", file, "config", "set-context", "--current", "--user", "weakling")
	return file
}

// TestClusterBuildAdmission builds where Pod Security lets "baseline" pass, and is
// refused where it wants "restricted".
func TestClusterBuildAdmission(t *testing.T) {
	s := clusterProject(t, "RUN echo built > /built\n")
	level := func(level string) {
		s.kubectl("label", "--overwrite", "namespace", s.Namespace, "pod-security.kubernetes.io/enforce="+level)
	}
	level("baseline")
	s.knLite(0, "build", "--builder", "cluster", "--push")
	s.nothingLeft()
	level("restricted")
	r := s.knLite(4, "build", "--builder", "cluster", "--push")
	for _, text := range []string{`violates PodSecurity "restricted`, "--builder-namespace", "--builder dockerfile"} {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("stderr does not say %q", text)
		}
	}
	s.nothingLeft()
}

// TestClusterBuildInterrupted stops kn-lite while RUN runs: politely, after
// which nothing is left, and by killing it, after which the cluster cleans up.
func TestClusterBuildInterrupted(t *testing.T) {
	t.Parallel()
	s := clusterProject(t, "RUN echo it runs && sleep 600\n")
	s.interrupted("build", "--builder", "cluster", "--push", "--authfile", "auth.json")
}

// interrupted stops a build in the cluster, whose RUN says "it runs", by each signal.
func (s *sandbox) interrupted(args ...string) {
	s.t.Helper()
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGKILL: -1} {
		s.t.Run(signal.String(), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), s.program(t, "kn-lite"), append([]string{"-n", s.Namespace}, args...)...)
			cmd.Dir, cmd.Env = s.Dir, slices.Concat(s.env, s.knLiteEnv)
			said := &waitFor{text: []byte("it runs\n"), found: make(chan struct{})}
			cmd.Stderr = said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			select {
			case <-said.found:
			case <-ctx.Done():
				t.Errorf("RUN did not begin")
			}
			secrets := s.names("secrets", "-l", "app.kubernetes.io/name=kn-lite-build")
			jobs := s.names("jobs", "-l", "app.kubernetes.io/name=kn-lite-build")
			if len(secrets) != 1 || len(jobs) != 1 {
				t.Errorf("while it builds there are %v and %v", secrets, jobs)
			} else if owner := s.kubectl("-n", s.Namespace, "get", secrets[0], "-o", "jsonpath={.metadata.ownerReferences[0].kind}"); owner != "Job" {
				t.Errorf("the secret belongs to %q", owner)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != code {
				t.Errorf("exit code %d, want %d", got, code)
			}
			if signal != syscall.SIGKILL {
				s.nothingLeft()
				return
			}
			// A minute of silence, a minute that the cluster keeps the job.
			s.eventually(6*time.Minute, "the cluster removes the build of a client that was killed", func() string {
				return strings.Join(s.names("jobs,pods,secrets", "-l", "app.kubernetes.io/name=kn-lite-build"), " ")
			})
		})
	}
}

// waitFor closes found when text has been written.
type waitFor struct {
	text  []byte
	found chan struct{}
	all   []byte
	done  bool
}

func (w *waitFor) Write(p []byte) (int, error) {
	w.all = append(w.all, p...)
	if !w.done && bytes.Contains(w.all, w.text) {
		w.done = true
		close(w.found)
	}
	return len(p), nil
}
