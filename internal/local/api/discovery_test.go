package api_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestDiscovery(t *testing.T) {
	p := start(t)
	if out := p.must(200, "GET", "/api", ""); out.field("versions") != `["v1"]` {
		t.Errorf("/api: %s", out.body)
	}
	groups := p.must(200, "GET", "/apis", "").body
	for _, group := range []string{"apps/v1", "serving.knative.dev/v1", "autoscaling.internal.knative.dev/v1alpha1", "authorization.k8s.io/v1"} {
		if !strings.Contains(groups, `"groupVersion":"`+group+`"`) {
			t.Errorf("no %s in %s", group, groups)
		}
	}
	list := p.must(200, "GET", "/apis/serving.knative.dev/v1", "")
	for _, part := range []string{`"name":"services","singularName":"service","namespaced":true,"kind":"Service"`, `"shortNames":["kservice","ksvc"]`, `"categories":["all","knative","serving"]`, `"name":"services/status"`} {
		if !strings.Contains(list.body, part) {
			t.Errorf("no %s in %s", part, list.body)
		}
	}
	aggregated := p.must(200, "GET", "/apis", "", "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")
	if aggregated.GetKind() != "APIGroupDiscoveryList" || !strings.Contains(aggregated.body, `"resource":"services"`) || !strings.Contains(aggregated.header.Get("Content-Type"), "as=APIGroupDiscoveryList") {
		t.Errorf("aggregated: %s", aggregated.body)
	}
	// Each resource of discovery is one that can be listed.
	for _, gv := range []string{"/api/v1", "/apis/apps/v1", "/apis/serving.knative.dev/v1", "/apis/autoscaling.internal.knative.dev/v1alpha1"} {
		resources, _, _ := unstructured.NestedSlice(p.must(200, "GET", gv, "").Object, "resources")
		if len(resources) == 0 {
			t.Errorf("nothing in %s", gv)
		}
		for _, r := range resources {
			name, _, _ := unstructured.NestedString(r.(map[string]any), "name")
			if !strings.Contains(name, "/") {
				p.must(200, "GET", gv+"/"+name, "")
			}
		}
	}
	version := p.must(200, "GET", "/version", "")
	if version.field("major") != "1" || !strings.HasPrefix(version.field("gitVersion"), "v1.35.0+kn-lite.1.2.3") {
		t.Errorf("version %s", version.body)
	}
}

func TestTables(t *testing.T) {
	p := start(t)
	p.must(201, "POST", services, ksvc("hello"))
	p.must(200, "PATCH", services+"/hello/status", `{"status":{"url":"http://hello.example","latestCreatedRevisionName":"hello-2","latestReadyRevisionName":"hello-1","conditions":[{"type":"Ready","status":"False","reason":"RevisionFailed"}]}}`)
	const asTable = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
	for _, path := range []string{services, services + "/hello"} {
		out := p.must(200, "GET", path, "", asTable)
		if !strings.Contains(out.body, `"cells":["hello","http://hello.example","hello-2","hello-1","False","RevisionFailed"]`) || out.GetKind() != "Table" || !strings.Contains(out.body, `"kind":"PartialObjectMetadata"`) {
			t.Errorf("%s: %s", path, out.body)
		}
	}
	var names []string
	columns, _, _ := unstructured.NestedSlice(p.must(200, "GET", services, "", asTable).Object, "columnDefinitions")
	for _, column := range columns {
		names = append(names, column.(map[string]any)["name"].(string))
	}
	if got := strings.Join(names, "|"); got != "Name|URL|LatestCreated|LatestReady|Ready|Reason" {
		t.Errorf("columns %s", got)
	}
	// Every kind has a table, also with nothing in it and of an object with nothing in it.
	for _, kind := range p.store.Kinds() {
		object := kind.New()
		object.SetName("empty")
		if kind.Namespaced {
			object.SetNamespace("default")
		}
		p.create(object)
		prefix := "/api/v1/"
		if kind.Group != "" {
			prefix = "/apis/" + kind.GroupVersion().String() + "/"
		}
		if out := p.must(200, "GET", prefix+kind.Resource, "", asTable); !strings.Contains(out.body, `"empty"]`) && !strings.Contains(out.body, `"cells":["empty"`) {
			t.Errorf("%s: %s", kind.Resource, out.body)
		}
	}
	some := p.must(200, "GET", services, "", "Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
	if some.GetKind() != "PartialObjectMetadataList" || some.field("items") == "[]" || strings.Contains(some.body, `"image"`) {
		t.Errorf("metadata: %s", some.body)
	}
}

func TestPodTable(t *testing.T) {
	p := start(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}}
	pod.Spec.Containers = []corev1.Container{{Name: "user-container"}}
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}}
	p.create(pod)
	out := p.must(200, "GET", "/api/v1/namespaces/default/pods", "", "Accept: application/json;as=Table;v=v1;g=meta.k8s.io")
	if !strings.Contains(out.body, `"cells":["one","0/1","CrashLoopBackOff","3","`) {
		t.Errorf("pods: %s", out.body)
	}
}

func TestOpenAPI(t *testing.T) {
	p := start(t)
	index := p.must(200, "GET", "/openapi/v3", "")
	url := index.field("paths", "apis/serving.knative.dev/v1", "serverRelativeURL")
	doc := p.must(200, "GET", url, "")
	service := doc.field("components", "schemas", "dev.knative.serving.pkg.apis.serving.v1.Service", "x-kubernetes-group-version-kind")
	if service != `[{"group":"serving.knative.dev","kind":"Service","version":"v1"}]` {
		t.Errorf("service: %s", service)
	}
	for _, path := range [][]string{
		{"dev.knative.serving.pkg.apis.serving.v1.RevisionSpec", "properties", "containerConcurrency", "description"},
		{"dev.knative.serving.pkg.apis.serving.v1.RevisionSpec", "properties", "containers", "items"},
		{"io.k8s.api.core.v1.EnvVar", "properties", "name", "description"},
		{"dev.knative.serving.pkg.apis.serving.v1.ServiceSpec", "properties", "template", "allOf"},
	} {
		if got := doc.field(append([]string{"components", "schemas"}, path...)...); got == "null" {
			t.Errorf("no %v", path)
		}
	}
	// Each reference leads somewhere.
	for _, part := range strings.Split(doc.body, `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if doc.field("components", "schemas", name) == "null" {
			t.Errorf("no schema %s", name)
		}
	}
	patch := doc.field("paths", "/apis/serving.knative.dev/v1/namespaces/{namespace}/services/{name}", "patch", "parameters")
	if !strings.Contains(patch, `"name":"fieldValidation"`) || !strings.Contains(patch, `"name":"dryRun"`) {
		t.Errorf("parameters of a patch: %s", patch)
	}
	p.must(304, "GET", url, "", "If-None-Match: "+doc.header.Get("Etag"))
	if old := p.must(200, "GET", "/openapi/v2", "", "Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf"); old.body != "\x0a\x032.0" {
		t.Errorf("version 2: %q", old.body)
	}
	p.must(404, "GET", "/openapi/v3/apis/none/v1", "")
}

func TestReviews(t *testing.T) {
	p := start(t)
	out := p.must(201, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"create","resource":"services","group":"serving.knative.dev","namespace":"default"}}}`)
	if out.field("status", "allowed") != "true" || out.GetKind() != "SelfSubjectAccessReview" || out.field("spec", "resourceAttributes", "verb") != "create" {
		t.Errorf("review %s", out.body)
	}
	p.must(201, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", `{"spec":{"namespace":"default"}}`)
	p.must(405, "GET", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", "")
	p.must(400, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", `{"spec":1}`)
}
