package api_test

import (
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	jsonPatch      = "Content-Type: application/json-patch+json"
	mergePatch     = "Content-Type: application/merge-patch+json"
	strategicPatch = "Content-Type: application/strategic-merge-patch+json"
	applyPatch     = "Content-Type: application/apply-patch+yaml"
)

func TestPatch(t *testing.T) {
	p := start(t)
	made := p.must(201, "POST", services, ksvc("hello"))
	hello := services + "/hello"
	out := p.must(200, "PATCH", hello, `{"metadata":{"labels":{"a":"b"}},"spec":{"template":{"spec":{"timeoutSeconds":9}}}}`, mergePatch)
	if out.GetLabels()["a"] != "b" || out.GetGeneration() != 2 || out.field("spec", "template", "spec", "timeoutSeconds") != "9" {
		t.Errorf("merged: %s", out.body)
	}
	out = p.must(200, "PATCH", hello, `[{"op":"test","path":"/metadata/labels/a","value":"b"},{"op":"remove","path":"/metadata/labels/a"},{"op":"add","path":"/metadata/annotations/x~1y","value":"z"}]`, jsonPatch)
	if len(out.GetLabels()) != 0 || out.GetAnnotations()["x/y"] != "z" || out.GetGeneration() != 2 {
		t.Errorf("patched: %s", out.body)
	}
	p.refused(422, metav1.StatusReasonInvalid, "testing value /metadata/name failed", "PATCH", hello, `[{"op":"test","path":"/metadata/name","value":"x"}]`, jsonPatch)
	p.refused(400, metav1.StatusReasonBadRequest, "", "PATCH", hello, `[{"op":`, jsonPatch)
	p.refused(400, metav1.StatusReasonBadRequest, "", "PATCH", hello, `["a"]`, mergePatch)
	p.refused(413, metav1.StatusReasonRequestEntityTooLarge, "10000", "PATCH", hello, "["+strings.Repeat(`{"op":"test","path":"/a","value":1},`, 10000)+`{"op":"test","path":"/a","value":1}]`, jsonPatch)
	p.refused(415, metav1.StatusReasonUnsupportedMediaType, "application/merge-patch+json", "PATCH", hello, `{}`, strategicPatch)
	p.refused(415, metav1.StatusReasonUnsupportedMediaType, "application/merge-patch+json", "PATCH", hello, `{}`, "Content-Type: application/json")
	p.refused(404, metav1.StatusReasonNotFound, "", "PATCH", services+"/none", `{}`, mergePatch)
	p.refused(409, metav1.StatusReasonConflict, "the object has been modified", "PATCH", hello, `{"metadata":{"resourceVersion":"`+made.GetResourceVersion()+`","labels":{"c":"d"}}}`, mergePatch)
	p.refused(409, metav1.StatusReasonConflict, "UID in precondition: other", "PATCH", hello, `{"metadata":{"uid":"other"}}`, mergePatch)
	p.refused(400, metav1.StatusReasonBadRequest, "does not match the name on the URL", "PATCH", hello, `{"metadata":{"name":"other"}}`, mergePatch)
	p.refused(400, metav1.StatusReasonBadRequest, `unknown field "spec.tmeplate"`, "PATCH", hello+"?fieldValidation=Strict", `{"spec":{"tmeplate":{}}}`, mergePatch)
	p.refused(400, metav1.StatusReasonBadRequest, "denied the request", "PATCH", hello, `{"spec":{"template":{"spec":{"containerConcurrency":-1}}}}`, mergePatch)
}

// Copies of copies double what there is with each step.
func TestPatchThatGrows(t *testing.T) {
	p := start(t)
	p.must(201, "POST", configMaps, `{"metadata":{"name":"c","finalizers":["example.com/hold"]}}`)
	grow := `{"op":"copy","from":"/metadata/finalizers","path":"/metadata/finalizers/-"}`
	p.refused(422, metav1.StatusReasonInvalid, "copy", "PATCH", configMaps+"/c", "["+strings.Repeat(grow+",", 60)+grow+"]", jsonPatch)
}

func TestStrategicMergePatch(t *testing.T) {
	p := start(t)
	p.must(201, "POST", "/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"robot"},"secrets":[{"name":"one"}]}`)
	out := p.must(200, "PATCH", "/api/v1/namespaces/default/serviceaccounts/robot", `{"secrets":[{"name":"two"}]}`, strategicPatch)
	if got := out.field("secrets"); got != `[{"name":"two"},{"name":"one"}]` {
		t.Errorf("pull secrets %s", got)
	}
	out = p.must(200, "PATCH", "/api/v1/namespaces/default/serviceaccounts/robot", `{"secrets":[{"name":"one","$patch":"delete"}]}`, strategicPatch)
	if got := out.field("secrets"); got != `[{"name":"two"}]` {
		t.Errorf("pull secrets %s", got)
	}
}

// A patch without a version is tried again when others write at the same time.
func TestPatchesAtTheSameTime(t *testing.T) {
	p := start(t)
	p.must(201, "POST", configMaps, `{"metadata":{"name":"c"},"data":{}}`)
	var all sync.WaitGroup
	for _, key := range strings.Split("abcd", "") {
		all.Go(func() {
			if out := p.do("PATCH", configMaps+"/c", `{"data":{"`+key+`":"1"}}`, mergePatch); out.code != 200 {
				t.Errorf("%s: %s", key, out.body)
			}
		})
	}
	all.Wait()
	if got := p.must(200, "GET", configMaps+"/c", "").field("data"); got != `{"a":"1","b":"1","c":"1","d":"1"}` {
		t.Errorf("data %s", got)
	}
}

func TestServerSideApply(t *testing.T) {
	p := start(t)
	hello := services + "/hello"
	config := func(env string) string {
		return "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: hello, labels: {by: " + env + "}}\nspec: {template: {spec: {containers: [{image: example.com/fn/hello, env: [{name: A, value: " + env + "}]}]}}}\n"
	}
	p.refused(422, metav1.StatusReasonInvalid, "fieldManager: Required value", "PATCH", hello, config("one"), applyPatch)
	made := p.must(201, "PATCH", hello+"?fieldManager=one", config("one"), applyPatch)
	if made.field("spec", "template", "spec", "timeoutSeconds") != "300" || made.GetManagedFields()[0].Manager != "one" || made.GetManagedFields()[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Errorf("applied: %s", made.body)
	}
	again := p.must(200, "PATCH", hello+"?fieldManager=one", config("one"), applyPatch)
	if again.GetResourceVersion() != made.GetResourceVersion() {
		t.Error("the same once more made a version")
	}
	// Another manager may not take fields without force, and is told which.
	conflict := p.must(409, "PATCH", hello+"?fieldManager=two", config("two"), applyPatch)
	for _, words := range []string{`conflict with \"one\"`, ".metadata.labels.by", ".spec.template.spec.containers", "FieldManagerConflict"} {
		if !strings.Contains(conflict.body, words) {
			t.Errorf("the conflict says nothing of %s: %s", words, conflict.body)
		}
	}
	forced := p.must(200, "PATCH", hello+"?fieldManager=two&force=true", config("two"), applyPatch)
	if forced.GetLabels()["by"] != "two" || forced.GetGeneration() != 2 {
		t.Errorf("forced: %s", forced.body)
	}
	// What its manager no longer applies goes away.
	p.must(200, "PATCH", hello+"?fieldManager=three", `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"hello","labels":{"x":"y"}}}`, applyPatch)
	left := p.must(200, "PATCH", hello+"?fieldManager=three", `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"hello"}}`, applyPatch)
	if left.GetLabels()["x"] != "" || left.GetLabels()["by"] != "two" {
		t.Errorf("labels %v", left.GetLabels())
	}
	// An update takes the fields that it changes.
	p.must(200, "PATCH", hello+"?fieldManager=hand", `{"metadata":{"labels":{"by":"hand"}}}`, mergePatch)
	p.must(409, "PATCH", hello+"?fieldManager=two", config("two"), applyPatch)

	p.refused(400, metav1.StatusReasonBadRequest, ".spec.tmeplate: field not declared in schema", "PATCH", hello+"?fieldManager=one", `{"apiVersion":"serving.knative.dev/v1","kind":"Service","spec":{"tmeplate":{}}}`, applyPatch)
	p.refused(400, metav1.StatusReasonBadRequest, "denied the request", "PATCH", hello+"?fieldManager=one&force=true", strings.Replace(config("one"), "example.com/fn/hello", "HELLO", 1), applyPatch)
	p.must(201, "PATCH", services+"/dry?fieldManager=one&dryRun=All", strings.Replace(config("one"), "name: hello", "name: dry", 1), applyPatch)
	p.must(404, "GET", services+"/dry", "")
}

// Kubernetes' own kinds merge lists by the keys of their elements.
func TestServerSideApplyMergesLists(t *testing.T) {
	p := start(t)
	path := "/api/v1/namespaces/default/services/web"
	port := func(name, number string) string {
		return `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{"ports":[{"name":"` + name + `","port":` + number + `,"protocol":"TCP"}]}}`
	}
	p.must(201, "PATCH", path+"?fieldManager=one", port("http", "80"), applyPatch)
	out := p.must(200, "PATCH", path+"?fieldManager=two", port("metrics", "9090"), applyPatch)
	if got := out.field("spec", "ports"); !strings.Contains(got, `"port":80,`) || !strings.Contains(got, `"port":9090,`) {
		t.Errorf("ports %s", got)
	}
	p.refused(409, metav1.StatusReasonConflict, `.spec.ports[port=80,protocol="TCP"].name`, "PATCH", path+"?fieldManager=two", port("other", "80"), applyPatch)
}
