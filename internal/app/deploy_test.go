package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

func request(service, image string) DeployRequest {
	return DeployRequest{Spec: deploy.Spec{Service: service, Image: image}, Timeout: 30 * time.Second}
}

func (p *platform) service(namespace, name string) *servingv1.Service {
	svc, _ := store.Get[*servingv1.Service](p.store, namespace, name)
	return svc
}

func said(lines []string, text string) bool {
	return slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, text) })
}

// From nothing to a second revision with a share, by requests alone.
func TestDeploy(t *testing.T) {
	t.Chdir(t.TempDir())
	p := newPlatform(t)
	a, _ := p.app(nil)
	first, err := a.Deploy(t.Context(), request("hello", p.image("hello:1", "amd64")))
	if err != nil {
		t.Fatal(err)
	}
	if first.Outcome != deploy.Created || first.Revision != "hello-v1" || !first.Ready || first.Namespace != "default" || !strings.Contains(first.Image, "@sha256:") || first.URL == "" {
		t.Errorf("%+v", first.Result)
	}
	if again, err := a.Deploy(t.Context(), request("hello", p.host+"/hello:1")); err != nil || again.Outcome != deploy.Unchanged {
		t.Errorf("again: %+v, %v", again, err)
	}
	next := request("hello", p.image("hello:2", "amd64"))
	next.Spec.Traffic, next.Spec.Tag = traffic.Shift{Partial: true, Share: 10}, "next"
	second, err := a.Deploy(t.Context(), next)
	if err != nil || second.Outcome != deploy.Updated || second.Split.String() != "hello-v1=90 hello-v2(next)=10" || second.TagURL == "" {
		t.Fatalf("%+v, %v", second, err)
	}
	if again, err := a.Deploy(t.Context(), next); err != nil || again.Outcome != deploy.Unchanged {
		t.Errorf("the same share again: %+v, %v", again, err)
	}
}

// A dry run tells what would be, and nothing is.
func TestDeployDryRun(t *testing.T) {
	t.Chdir(t.TempDir())
	p := newPlatform(t)
	a, _ := p.app(nil)
	for _, kind := range []DryRun{DryRunClient, DryRunServer} {
		r := request("hello", p.image("hello:1", "amd64"))
		r.DryRun = kind
		got, err := a.Deploy(t.Context(), r)
		if err != nil || got.Result != nil || got.Manifest["kind"] != "Service" || got.Manifest["status"] != nil {
			t.Errorf("%v: %+v, %v", kind, got, err)
		}
	}
	if svc := p.service("default", "hello"); svc != nil {
		t.Errorf("it was created: %v", svc)
	}
}

// What is asked for ranks above the environment, that above func.yaml.
func TestDeployPrecedence(t *testing.T) {
	p := newPlatform(t)
	dir := t.TempDir()
	project := "specVersion: 0.36.0\nname: hello\nruntime: go\nnamespace: nowhere\nrun:\n  envs:\n  - name: LOG\n    value: file\n  - name: HOST\n    value: '{{ env:WHERE }}'\n"
	if err := os.WriteFile(filepath.Join(dir, "func.yaml"), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	image := p.image("hello:1", "amd64")
	for _, tt := range []struct {
		name      string
		env       map[string]string
		change    func(*DeployRequest)
		namespace string // "": an error of that kind
		kind      fault.Kind
		want      []corev1.EnvVar
	}{
		{"func.yaml", map[string]string{"WHERE": "here"}, nil, "", fault.NotFound, nil}, // its namespace is not there
		{"the environment", map[string]string{"WHERE": "here", "KN_LITE_NAMESPACE": "other"}, nil, "other", 0, []corev1.EnvVar{{Name: "LOG", Value: "file"}, {Name: "HOST", Value: "here"}}},
		{"the request", map[string]string{"WHERE": "there", "KN_LITE_NAMESPACE": "other"}, func(r *DeployRequest) {
			r.Namespace, r.Spec.Env = "default", []deploy.EnvEdit{{Name: "LOG", Value: "flag"}}
		}, "default", 0, []corev1.EnvVar{{Name: "LOG", Value: "flag"}, {Name: "HOST", Value: "there"}}},
		{"a variable that is not there", map[string]string{"KN_LITE_NAMESPACE": "other"}, nil, "", fault.Usage, nil},
	} {
		a, _ := p.app(tt.env)
		r := request("", image)
		r.Dir = dir
		if tt.change != nil {
			tt.change(&r)
		}
		got, err := a.Deploy(t.Context(), r)
		if tt.namespace == "" {
			if fault.KindOf(err) != tt.kind {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
			continue
		}
		if err != nil || got.Namespace != tt.namespace || got.Service != "hello" {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
			continue
		}
		if env := p.service(tt.namespace, "hello").Spec.Template.Spec.Containers[0].Env; !slices.Equal(env, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, env, tt.want)
		}
	}
}

// A warning, and no more: there may be other nodes tomorrow.
func TestDeployWarnsOfArchitectures(t *testing.T) {
	t.Chdir(t.TempDir())
	const none = "has no variant for the cluster's nodes"
	for _, tt := range []struct {
		name  string
		image string
		nodes []string
		warns string
	}{
		{"as the nodes", "amd64", []string{"amd64"}, ""},
		{"none of them", "arm64", []string{"amd64", "amd64"}, none + " (linux/amd64)"},
		{"some of them", "arm64", []string{"amd64", "amd64", "arm64"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlatform(t)
			for i, architecture := range tt.nodes {
				p.node("node-"+string(rune('a'+i)), architecture)
			}
			a, seen := p.app(nil)
			if _, err := a.Deploy(t.Context(), request("hello", p.image("hello:1", tt.image))); err != nil {
				t.Fatal(err)
			}
			if said(seen.Lines(), none) != (tt.warns != "") || !said(seen.Lines(), tt.warns) {
				t.Errorf("%v, want %q", seen.Lines(), tt.warns)
			}
		})
	}
}

// A digest that its registry does not have is said to be missing as seen from here:
// the cluster may have another way to it.
func TestDeployWarnsOfAnImageThatIsNotThere(t *testing.T) {
	t.Chdir(t.TempDir())
	p := newPlatform(t)
	p.node("node", "amd64")
	a, seen := p.app(nil)
	image := p.host + "/hello@sha256:" + strings.Repeat("a", 64)
	if _, err := a.Deploy(t.Context(), request("hello", image)); err != nil {
		t.Fatal(err)
	}
	if !said(seen.Lines(), image+" is not in its registry, as seen from here") {
		t.Errorf("%v", seen.Lines())
	}
}

// A deploy that is interrupted while it waits is given up by a later command, and
// the service is as it was.
func TestAbort(t *testing.T) {
	t.Chdir(t.TempDir())
	p := newPlatform(t)
	a, seen := p.app(nil)
	if _, err := a.Abort(t.Context(), AbortRequest{Service: "hello"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("without a service: %v", err)
	}
	if _, err := a.Deploy(t.Context(), request("hello", p.image("hello:1", "amd64"))); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Abort(t.Context(), AbortRequest{Service: "hello"}); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "no deploy of it is under way") {
		t.Errorf("without a deploy: %v", err)
	}
	before := p.service("default", "hello")
	p.decide(func(pod *corev1.Pod) bool { return pod.Labels[serving.RevisionLabelKey] != "hello-v2" })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for t.Context().Err() == nil && !said(seen.Lines(), "wait for hello-v2") {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
	}()
	image := p.image("hello:2", "amd64")
	_, err := a.Deploy(ctx, request("hello", image))
	if err == nil || !strings.Contains(fault.HintOf(err), "deploy {Abort} -s hello") {
		t.Fatalf("%v: %s", err, fault.HintOf(err))
	}
	if now := p.service("default", "hello"); now.Annotations[traffic.DeployKey] == "" {
		t.Fatalf("nothing is noted: %v", now.Annotations)
	}
	done, err := a.Abort(t.Context(), AbortRequest{Service: "hello"})
	if err != nil || done.Revision != "hello-v2" || done.Replaced || done.Split.String() != "@latest=100" {
		t.Fatalf("%+v, %v", done, err)
	}
	after := p.service("default", "hello")
	if after.Annotations[traffic.DeployKey] != "" || after.Spec.Template.Spec.Containers[0].Image != before.Spec.Template.Spec.Containers[0].Image {
		t.Errorf("%+v", after.Spec)
	}
	p.decide(nil)
	if r, err := a.Deploy(t.Context(), request("hello", image)); err != nil || r.Split.Percent(r.Revision, r.Revision) != 100 {
		t.Errorf("the next deploy: %+v, %v", r, err)
	}
}

// What is wrong with a request is found before anything is asked.
func TestDeployRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	a := &App{}
	p := newPlatform(t)
	full, _ := p.app(nil)
	a.Settings, a.Env = full.Settings, full.Env
	for name, r := range map[string]DeployRequest{
		"no service":       request("", "x/y:1"),
		"no service name":  request("Not_A_Name", "x/y:1"),
		"no revision name": {Spec: deploy.Spec{Service: "hello", Image: "x/y:1", Revision: "Not_A_Name"}},
		"no tag":           {Spec: deploy.Spec{Service: "hello", Image: "x/y:1", Tag: "Not_A_Tag"}},
		"no image":         {Spec: deploy.Spec{Service: "hello", Image: "NOT AN IMAGE"}, DryRun: DryRunClient},
	} {
		if _, err := a.Deploy(t.Context(), r); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
	missing := request("", "x/y:1")
	missing.Dir = filepath.Join(t.TempDir(), "nosuch")
	if _, err := a.Deploy(t.Context(), missing); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no folder: %v", err)
	}
}

// Where there is no cluster the request may bring one about.
func TestDeployWithoutACluster(t *testing.T) {
	t.Chdir(t.TempDir())
	p := newPlatform(t)
	a, _ := p.app(nil)
	there := a.Cluster
	none := fault.New(fault.NotFound, "cluster.config", "", "no kubeconfig")
	for _, tt := range []struct {
		name   string
		offer  func(context.Context) (bool, error)
		starts bool
	}{
		{"nobody to ask", nil, false},
		{"refused", func(context.Context) (bool, error) { return false, nil }, false},
		{"started", func(context.Context) (bool, error) { a.Cluster = there; return true, nil }, true},
	} {
		a.Cluster = func(string) (*cluster.Client, error) { return nil, none }
		r := request("hello", p.image("hello:1", "amd64"))
		r.NoCluster = tt.offer
		_, err := a.Deploy(t.Context(), r)
		if (err == nil) != tt.starts || err != nil && fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
