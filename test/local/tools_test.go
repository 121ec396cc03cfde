//go:build e2e

package local_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// tool is a client of clusters, as users have it.
type tool struct {
	t    *testing.T
	path string
	args []string // the name first
	env  []string
	dir  string
}

// step is one call of a tool.
type step struct {
	line  string // words, with the file manifests beside it
	stdin string
	fails bool
	want  []string // in what it prints, ! in front for what must not be there
}

// kubectlProgram is $KUBECTL, bin/kubectl, the one on PATH, or devcluster's, which
// is several programs in one and looks at its name.
func kubectlProgram(t *testing.T) string {
	t.Helper()
	candidates := []string{os.Getenv("KUBECTL"), "../../bin/kubectl"}
	if found, err := exec.LookPath("kubectl"); err == nil {
		candidates = append(candidates, found)
	}
	if caches, err := os.UserCacheDir(); err == nil {
		nodes, _ := filepath.Glob(filepath.Join(caches, "kn-lite-devcluster/node/*/devcluster-node"))
		candidates = append(candidates, nodes...)
	}
	return program(t, candidates...)
}

func program(t *testing.T, candidates ...string) string {
	t.Helper()
	for _, candidate := range candidates {
		if info, err := os.Stat(candidate); candidate != "" && err == nil && !info.IsDir() {
			path, err := filepath.Abs(candidate)
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Fatalf("none of %v is there", candidates)
	return ""
}

func newTool(t *testing.T, path, name, kubeconfig string) *tool {
	home := t.TempDir()
	return &tool{t, path, []string{name}, []string{"HOME=" + home, "KUBECONFIG=" + kubeconfig, "PATH=" + os.Getenv("PATH"), "EDITOR=sed -i s/one/two/"}, home}
}

func (k *tool) run(s step) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, k.path)
	command.Args = append(append([]string{}, k.args...), strings.Fields(s.line)...)
	command.Env, command.Dir, command.Stdin = k.env, k.dir, strings.NewReader(s.stdin)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	if (err != nil) != s.fails {
		k.t.Errorf("%s %s: %v\n%s", k.args[0], s.line, err, &out)
	}
	for _, want := range s.want {
		word, not := strings.CutPrefix(want, "!")
		if strings.Contains(out.String(), word) == not {
			k.t.Errorf("%s %s: %q is not as it should be in\n%s", k.args[0], s.line, want, &out)
		}
	}
	return out.String()
}

const manifest = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello}
spec: {template: {spec: {containers: [{image: example.com/fn/hello, env: [{name: A, value: one}]}]}}}
`

func TestKubectl(t *testing.T) {
	objects, kubeconfig := serve(t)
	k := newTool(t, kubectlProgram(t), "kubectl", kubeconfig)
	changed := strings.Replace(manifest, "one", "two", 1)
	typo := strings.Replace(manifest, "containers", "kontainers", 1)
	for _, s := range []step{
		{line: "version", want: []string{"Server Version: v1.35.0+kn-lite.1.0.0"}},
		{line: "api-resources", want: []string{"kservice,ksvc", "serving.knative.dev/v1", "podautoscalers"}},
		{line: "apply -f -", stdin: typo, fails: true, want: []string{`strict decoding error: unknown field "spec.template.spec.kontainers"`}},
		{line: "apply --validate=warn -f -", stdin: typo, fails: true, want: []string{`Warning: unknown field "spec.template.spec.kontainers"`, "missing field(s): spec.template.spec.containers"}},
		{line: "apply --dry-run=server -f -", stdin: manifest, want: []string{"created (server dry run)"}},
		{line: "get ksvc", want: []string{"No resources found"}},
		{line: "apply -f -", stdin: manifest, want: []string{"service.serving.knative.dev/hello created"}},
		{line: "apply -f -", stdin: manifest, want: []string{"configured"}},
		{line: "diff -f -", stdin: changed, fails: true, want: []string{"+  generation: 2", "+          value: two"}},
		{line: "apply -f -", stdin: changed, want: []string{"configured"}},
		{line: "create -f -", stdin: manifest, fails: true, want: []string{`services.serving.knative.dev "hello" already exists`}},
		{line: "get ksvc", want: []string{"NAME", "URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON", "hello"}},
		{line: "get ksvc hello -o jsonpath={.spec.template.spec.containers[0].env[0].value}", want: []string{"two"}},
		{line: "get all", want: []string{"service.serving.knative.dev/hello"}},
		{line: "describe ksvc hello", want: []string{"Timeout Seconds:", "Events:"}},
		{line: "explain ksvc.spec.traffic.percent", want: []string{"FIELD: percent <integer>", "The share of the requests in percent"}},
		{line: "explain revision.spec.containers.env", want: []string{"<[]EnvVar>", "List of environment variables"}},
		{line: `patch ksvc hello --type=merge -p {"metadata":{"labels":{"a":"b"}}}`, want: []string{"patched"}},
		{line: `patch ksvc hello --type=json -p [{"op":"test","path":"/metadata/labels/a","value":"c"}]`, fails: true, want: []string{"testing value /metadata/labels/a failed"}},
		{line: `patch ksvc hello -p {"metadata":{}}`, fails: true, want: []string{"strategic-merge-patch+json is not supported by serving.knative.dev/v1"}},
		{line: "label ksvc hello a- c=d", want: []string{"labeled"}},
		{line: "get ksvc -l c=d -o name", want: []string{"service.serving.knative.dev/hello"}},
		{line: "get ksvc --field-selector metadata.name=other", want: []string{"No resources found"}},
		{line: "wait ksvc hello --for=condition=Ready --timeout=1s", fails: true, want: []string{"timed out waiting for the condition"}},
		{line: `patch ksvc hello --subresource=status --type=merge -p {"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, want: []string{"patched"}},
		{line: "wait ksvc hello --for=condition=Ready --timeout=20s", want: []string{"condition met"}},
		{line: "auth can-i create ksvc", want: []string{"yes"}},
		{line: "auth whoami", want: []string{"kn-lite"}},
		{line: "delete ksvc hello --cascade=foreground", want: []string{`"hello" deleted`}},
		{line: "get ksvc hello", fails: true, want: []string{`Error from server (NotFound): services.serving.knative.dev "hello" not found`}},
		{line: "apply --server-side -f -", stdin: manifest, want: []string{"serverside-applied"}},
		{line: "apply --server-side --field-manager=other -f -", stdin: changed, fails: true, want: []string{`conflict with "kubectl"`, "--force-conflicts"}},
		{line: "apply --server-side --field-manager=other --force-conflicts -f -", stdin: changed, want: []string{"serverside-applied"}},
		{line: "delete -f - --wait", stdin: manifest, want: []string{"deleted"}},
		{line: "create secret generic s --from-literal=a=one", want: []string{"secret/s created"}},
		{line: "create configmap c --from-literal=a=one", want: []string{"configmap/c created"}},
		{line: "edit configmap c", want: []string{"configmap/c edited"}},
		{line: "get configmap c -o yaml", want: []string{"a: two"}},
		{line: `patch configmap c -p {"data":{"b":"three"}}`, want: []string{"patched"}},
		{line: "get secret,configmap,ns", want: []string{"secret/s   Opaque", "configmap/c   2", "namespace/default"}},
		{line: "create ns shop", want: []string{"namespace/shop created"}},
		{line: "apply -n shop -f -", stdin: manifest, want: []string{"created"}},
		{line: "get ksvc -A", want: []string{"shop"}},
		{line: "delete ns shop --timeout=20s", want: []string{`"shop" deleted`}},
		{line: "get ksvc -A", want: []string{"No resources found"}},
		{line: "delete ns default", fails: true, want: []string{"this namespace may not be deleted"}},
		{line: "run pod --image=x", fails: true, want: []string{"MethodNotAllowed"}},
		{line: "get pods", want: []string{"No resources found"}},
	} {
		k.run(s)
	}
	watchAlong(t, k, objects)
}

// watchAlong follows a list with kubectl while objects come and go.
func watchAlong(t *testing.T, k *tool, objects *store.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, k.path)
	command.Args, command.Env = append(append([]string{}, k.args...), "get", "configmap", "-w", "--output-watch-events"), k.env
	var out lockedBuffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	saw := func(words string) {
		t.Helper()
		for !strings.Contains(out.String(), words) {
			if ctx.Err() != nil {
				t.Fatalf("kubectl get -w does not say %q:\n%s", words, out.String())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	saw("ADDED      c")
	made, err := objects.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "late"}})
	if err != nil {
		t.Fatal(err)
	}
	saw("ADDED      late")
	objects.Remove(made)
	saw("DELETED    late")
	cancel()
	_ = command.Wait()
}

func TestKn(t *testing.T) {
	_, kubeconfig := serve(t)
	k := newTool(t, program(t, "../../bin/kn"), "kn", kubeconfig)
	for _, s := range []step{
		{line: "service create hello --image example.com/fn/hello --env A=one --no-wait", want: []string{"Service 'hello' created in namespace 'default'"}},
		{line: "service create hello --image example.com/fn/hello --no-wait", fails: true, want: []string{"already exists"}},
		{line: "service create bad --image BAD --no-wait", fails: true, want: []string{`admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: Failed to parse image reference`}},
		{line: "service create bad --image example.com/fn/hello --scale-min many --no-wait", fails: true},
		{line: "service list", want: []string{"hello"}},
		{line: "service describe hello", want: []string{"Name:       hello", "Namespace:  default"}},
		{line: "service update hello --env A=two --scale-max 3 --no-wait", want: []string{"updated"}},
		{line: "service describe hello -o jsonpath={.spec.template.metadata.annotations}", want: []string{`"autoscaling.knative.dev/max-scale":"3"`}},
		{line: "service apply hello --image example.com/fn/other --no-wait", want: []string{"applied"}},
		{line: "revision list", want: []string{"No revisions found"}},
		{line: "route list", want: []string{"No routes found"}},
		{line: "service delete hello --wait", want: []string{"successfully deleted"}},
		{line: "service describe hello", fails: true, want: []string{`services.serving.knative.dev "hello" not found`}},
	} {
		k.run(s)
	}
}

// lockedBuffer is what a running program has printed.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
