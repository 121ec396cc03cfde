package manifests

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const deployment = `# comment only
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: controller
  namespace: knative-serving
  labels: {app.kubernetes.io/version: devel}
spec:
  template:
    spec:
      containers:
      - name: controller
        image: ko://knative.dev/serving/cmd/controller
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: webhook, namespace: knative-serving}
`

const autoscaler = `apiVersion: v1
kind: ConfigMap
metadata:
  name: config-autoscaler
  namespace: knative-serving
  annotations: {knative.dev/example-checksum: abc}
data:
  _example: long text
  other: kept
`

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func fixture(t *testing.T) Input {
	t.Helper()
	crd := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x.example.dev}\n"
	return Input{
		Dir: write(t, map[string]string{
			"serving/a/deployment.yaml":  deployment,
			"serving/b/config.yaml":      autoscaler,
			"serving/c/placeholder.go":   "package c",
			"networking/ingress.yaml":    crd,
			"caching/image.yaml":         crd,
			"serving/000-webhook.yaml":   "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: v}\n",
			"serving/100-namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: knative-serving}\n",
		}),
		Images:   map[string]string{"serving/controller": "127.0.0.1:5000/serving/controller@sha256:aa"},
		Registry: "127.0.0.1:5000",
		Ingress:  netip.MustParseAddr("10.9.0.1"),
	}
}

func find(t *testing.T, objects []unstructured.Unstructured, kind, name string) unstructured.Unstructured {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return unstructured.Unstructured{}
}

func TestOrderPutsWebhooksLastAndNamespacesFirst(t *testing.T) {
	objects, err := Knative(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, o.GetKind())
	}
	want := []string{
		"Namespace", "Namespace", "CustomResourceDefinition", "CustomResourceDefinition", "ConfigMap",
		"Service", "EndpointSlice", "Service", "EndpointSlice", "Deployment", "ValidatingWebhookConfiguration",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestImagesAndVersionAreFilledIn(t *testing.T) {
	objects, err := Knative(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	d := find(t, objects, "Deployment", "controller")
	containers, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
	if got := containers[0].(map[string]any)["image"]; got != "127.0.0.1:5000/serving/controller@sha256:aa" {
		t.Errorf("image %v", got)
	}
	if got := d.GetLabels()["app.kubernetes.io/version"]; got != "0.50.0" {
		t.Errorf("version label %q", got)
	}
}

func TestSettings(t *testing.T) {
	in := fixture(t)
	in.Settings = map[string]map[string]string{"config-autoscaler": {"stable-window": "6s", "other": ""}}
	objects, err := Knative(in)
	if err != nil {
		t.Fatal(err)
	}
	o := find(t, objects, "ConfigMap", "config-autoscaler")
	data, _, _ := unstructured.NestedStringMap(o.Object, "data")
	if diff := cmp.Diff(map[string]string{"stable-window": "6s", "scale-to-zero-grace-period": "10s"}, data); diff != "" {
		t.Error(diff)
	}
	if a := o.GetAnnotations(); len(a) != 0 {
		t.Errorf("annotations %v: the checksum of an example that is gone", a)
	}
}

func TestBadInput(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Input)
		want   string
	}{
		"image not pushed":  {func(in *Input) { in.Images = nil }, "serving/controller was not pushed"},
		"unknown settings":  {func(in *Input) { in.Settings = map[string]map[string]string{"config-x": {"a": "b"}} }, "no such ConfigMap"},
		"no address":        {func(in *Input) { in.Ingress = netip.Addr{} }, "no ingress address"},
		"no folder":         {func(in *Input) { in.Dir = filepath.Join(in.Dir, "none") }, "no such file"},
		"unreadable object": {func(in *Input) { in.Dir = write(t, map[string]string{"networking/a.yaml": "a: [\n"}) }, "a.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			in := fixture(t)
			tt.change(&in)
			if _, err := Knative(in); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestIngressEndpointsPointAtTheNode(t *testing.T) {
	in := fixture(t)
	in.PublicPort, in.PrivatePort = 8080, 8082
	objects, err := Knative(in)
	if err != nil {
		t.Fatal(err)
	}
	for service, port := range map[string]int64{IngressPublicService: 8080, IngressPrivateService: 8082} {
		e := find(t, objects, "EndpointSlice", service+"-node")
		if got := e.GetLabels()["kubernetes.io/service-name"]; got != service {
			t.Errorf("slice belongs to %q, want %q", got, service)
		}
		ports, _, _ := unstructured.NestedSlice(e.Object, "ports")
		if got := ports[0].(map[string]any)["port"]; got != port {
			t.Errorf("%s: port %v, want %d", service, got, port)
		}
		ends, _, _ := unstructured.NestedSlice(e.Object, "endpoints")
		if diff := cmp.Diff([]any{"10.9.0.1"}, ends[0].(map[string]any)["addresses"]); diff != "" {
			t.Error(diff)
		}
	}
}

// The fixture above is ours; this is what Knative really publishes.
func TestUpstream(t *testing.T) {
	dir := t.TempDir()
	for folder, module := range map[string][2]string{
		"serving": {"knative.dev/serving", "config/core"}, "networking": {"knative.dev/networking", "config"}, "caching": {"knative.dev/caching", "config"},
	} {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module[0]).Output()
		root := strings.TrimSpace(string(out))
		if err != nil || root == "" {
			t.Skipf("%s is not in the module cache", module[0])
		}
		if err := os.Symlink(filepath.Join(root, module[1]), filepath.Join(dir, folder)); err != nil {
			t.Fatal(err)
		}
	}
	images := map[string]string{}
	for _, n := range []string{"activator", "autoscaler", "controller", "queue", "webhook"} {
		images["serving/"+n] = "127.0.0.1:5000/serving/" + n + "@sha256:" + strings.Repeat("a", 64)
	}
	in := Input{Dir: dir + "/", Images: images, Registry: "127.0.0.1:5000", Ingress: netip.MustParseAddr("10.9.0.1")}
	objects, err := Knative(in)
	if err != nil {
		t.Fatal(err)
	}
	var crds, deployments []string
	for _, o := range objects {
		switch o.GetKind() {
		case "CustomResourceDefinition":
			crds = append(crds, o.GetName())
		case "Deployment":
			deployments = append(deployments, o.GetName())
		case "HorizontalPodAutoscaler":
			t.Errorf("%s is left", describe(o))
		}
		text, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "ko://") {
			t.Errorf("%s still names a command instead of an image", describe(o))
		}
	}
	slices.Sort(crds)
	slices.Sort(deployments)
	if diff := cmp.Diff([]string{"activator", "autoscaler", "controller", "webhook"}, deployments); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"services.serving.knative.dev", "ingresses.networking.internal.knative.dev", "images.caching.internal.knative.dev"} {
		if !slices.Contains(crds, want) {
			t.Errorf("no CRD %s among %v", want, crds)
		}
	}
	for name, want := range map[string]map[string]string{
		"config-network":       {"ingress-class": "traefik.ingress.networking.knative.dev"},
		"config-domain":        {"127.0.0.1.sslip.io": ""},
		"config-observability": {"request-metrics-protocol": "prometheus"},
		"config-deployment":    {"queue-sidecar-image": images["serving/queue"], "registries-skipping-tag-resolving": "kind.local,ko.local,dev.local,127.0.0.1:5000"},
	} {
		o := find(t, objects, "ConfigMap", name)
		data, _, _ := unstructured.NestedStringMap(o.Object, "data")
		if diff := cmp.Diff(want, data); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
