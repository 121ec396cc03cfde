package api_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCreateGetUpdateDelete(t *testing.T) {
	p := start(t)
	made := p.must(201, "POST", services, ksvc("hello"))
	for path, want := range map[string]string{"metadata.generation": "1", "metadata.namespace": "default", "apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec.template.spec.timeoutSeconds": "300"} {
		if got := made.field(strings.Split(path, ".")...); got != want {
			t.Errorf("%s is %s instead of %s", path, got, want)
		}
	}
	annotations := made.GetAnnotations()
	if annotations["serving.knative.dev/creator"] != "kn-lite" || annotations["serving.knative.dev/lastModifier"] != "kn-lite" {
		t.Errorf("annotations %v", annotations)
	}
	p.refused(409, metav1.StatusReasonAlreadyExists, `services.serving.knative.dev "hello" already exists`, "POST", services, ksvc("hello"))

	version := made.GetResourceVersion()
	next := strings.Replace(made.body, "example.com/fn/hello", "example.com/other", 1)
	changed := p.must(200, "PUT", services+"/hello", next)
	if changed.GetGeneration() != 2 || changed.GetResourceVersion() == version {
		t.Errorf("changed %v", changed.Object)
	}
	p.refused(409, metav1.StatusReasonConflict, `Operation cannot be fulfilled on services.serving.knative.dev "hello": the object has been modified; please apply your changes to the latest version and try again`, "PUT", services+"/hello", next)
	p.refused(422, metav1.StatusReasonInvalid, "metadata.resourceVersion: Invalid value: 0: must be specified for an update", "PUT", services+"/hello", ksvc("hello"))
	p.refused(400, metav1.StatusReasonBadRequest, "the name of the object (x) does not match the name on the URL (hello)", "PUT", services+"/hello", ksvc("x"))
	p.refused(404, metav1.StatusReasonNotFound, `services.serving.knative.dev "none" not found`, "PUT", services+"/none", ksvc("none"))

	same := p.must(200, "PUT", services+"/hello", changed.body)
	if same.GetResourceVersion() != changed.GetResourceVersion() {
		t.Error("a write without a change made a version")
	}
	gone := p.must(200, "DELETE", services+"/hello", "")
	if gone.field("status") != "Success" || gone.field("details", "uid") != string(made.GetUID()) {
		t.Errorf("deleted: %s", gone.body)
	}
	p.refused(404, metav1.StatusReasonNotFound, `services.serving.knative.dev "hello" not found`, "GET", services+"/hello", "")
	p.refused(404, metav1.StatusReasonNotFound, `services.serving.knative.dev "hello" not found`, "DELETE", services+"/hello", "")
}

func TestNamesAndNamespaces(t *testing.T) {
	p := start(t)
	generated := p.must(201, "POST", services, strings.Replace(ksvc("x"), `"name":"x"`, `"generateName":"hello-"`, 1))
	if name := generated.GetName(); !strings.HasPrefix(name, "hello-") || len(name) != len("hello-")+5 {
		t.Errorf("generated %q", name)
	}
	p.refused(422, metav1.StatusReasonInvalid, `Service.serving.knative.dev "Hello" is invalid: metadata.name: Invalid value`, "POST", services, ksvc("Hello"))
	p.refused(422, metav1.StatusReasonInvalid, "metadata.name: Required value: name or generateName is required", "POST", services, strings.Replace(ksvc("x"), `"name":"x"`, ``, 1))
	p.refused(404, metav1.StatusReasonNotFound, `namespaces "nope" not found`, "POST", strings.Replace(services, "default", "nope", 1), ksvc("x"))
	p.refused(400, metav1.StatusReasonBadRequest, "does not match the namespace sent on the request", "POST", services, ksvc("x", `,"namespace":"other"`))
	p.refused(400, metav1.StatusReasonBadRequest, "does not match the expected API version", "POST", services, strings.Replace(ksvc("x"), "knative.dev/v1", "knative.dev/v1alpha1", 1))
	p.refused(422, metav1.StatusReasonInvalid, "metadata.labels: Invalid value", "POST", services, ksvc("x", `,"labels":{"a":"not valid"}`))
	p.refused(404, metav1.StatusReasonNotFound, "the server could not find the requested resource", "GET", "/apis/serving.knative.dev/v1/namespaces/default/domains", "")
	p.refused(404, metav1.StatusReasonNotFound, "the server could not find the requested resource", "GET", "/apis/serving.knative.dev/v2/namespaces/default/services", "")
	p.refused(405, metav1.StatusReasonMethodNotAllowed, "", "POST", "/api/v1/namespaces/default/pods", `{}`)
	p.refused(405, metav1.StatusReasonMethodNotAllowed, "", "DELETE", "/apis/serving.knative.dev/v1/services", "")
}

// Knative's own rules, in the words of its webhook behind a cluster's API server.
func TestAdmission(t *testing.T) {
	p := start(t)
	const denied = `admission webhook "validation.webhook.serving.knative.dev" denied the request: validation failed: `
	for name, c := range map[string]struct{ body, message string }{
		"no container":       {`{"metadata":{"name":"x"},"spec":{"template":{"spec":{}}}}`, denied + "missing field(s): spec.template.spec.containers"},
		"bad image":          {strings.Replace(ksvc("x"), "example.com/fn/x", "EXAMPLE", 1), denied + "Failed to parse image reference: spec.template.spec.containers[0].image"},
		"scale":              {strings.Replace(ksvc("x"), `"template":{`, `"template":{"metadata":{"annotations":{"autoscaling.knative.dev/min-scale":"many"}},`, 1), denied + "invalid value: many: spec.template.metadata.annotations.autoscaling.knative.dev/min-scale"},
		"percent":            {strings.Replace(ksvc("x"), `"spec":{"template"`, `"spec":{"traffic":[{"latestRevision":true,"percent":90}],"template"`, 1), denied + "Traffic targets sum to 90, want 100"},
		"name of a revision": {strings.Replace(ksvc("x"), `"template":{`, `"template":{"metadata":{"name":"other"},`, 1), `must have prefix "x-"`},
		"long name":          {ksvc(strings.Repeat("x", 64)), denied},
	} {
		t.Run(name, func(t *testing.T) {
			p.t = t
			p.refused(400, metav1.StatusReasonBadRequest, c.message, "POST", services, c.body)
		})
	}
	p.t = t
	made := p.must(201, "POST", services, ksvc("x"))
	if warning := made.header.Get("Warning"); !strings.Contains(warning, "Knative may default this to secure in a future release") {
		t.Errorf("warning %q", warning)
	}
	p.refused(400, metav1.StatusReasonBadRequest, "annotation value is immutable: metadata.annotations.serving.knative.dev/creator", "PATCH", services+"/x", `{"metadata":{"annotations":{"serving.knative.dev/creator":"mallory"}}}`)

	const revisions = "/apis/serving.knative.dev/v1/namespaces/default/revisions"
	p.must(201, "POST", revisions, `{"metadata":{"name":"r"},"spec":{"containers":[{"image":"example.com/fn/r"}]}}`)
	p.refused(400, metav1.StatusReasonBadRequest, denied+"Immutable fields changed", "PATCH", revisions+"/r", `{"spec":{"timeoutSeconds":10}}`)
	p.must(200, "PATCH", revisions+"/r", `{"metadata":{"labels":{"a":"b"}}}`)
}

// Knative's own settings stand where a cluster has them, and are checked when they
// are written.
func TestSettingsOfKnative(t *testing.T) {
	p := start(t)
	const settings = "/api/v1/namespaces/knative-serving/configmaps"
	withInit := strings.Replace(ksvc("init"), `"containers":`, `"initContainers":[{"image":"example.com/fn/first"}],"containers":`, 1)
	p.refused(400, metav1.StatusReasonBadRequest, "must not set the field(s): spec.template.spec.initContainers", "POST", services, withInit)
	p.must(201, "POST", "/api/v1/namespaces", `{"metadata":{"name":"knative-serving"}}`)
	p.must(201, "POST", settings, `{"metadata":{"name":"config-features"},"data":{"kubernetes.podspec-init-containers":"enabled"}}`)
	p.must(201, "POST", services, withInit)
	p.must(201, "POST", settings, `{"metadata":{"name":"config-defaults"},"data":{"revision-timeout-seconds":"17"}}`)
	if made := p.must(201, "POST", services, ksvc("short")); made.field("spec", "template", "spec", "timeoutSeconds") != "17" {
		t.Errorf("made %s", made.body)
	}
	p.must(200, "PATCH", settings+"/config-defaults", `{"data":{"revision-timeout-seconds":"18"}}`)
	if made := p.must(201, "POST", services, ksvc("shorter")); made.field("spec", "template", "spec", "timeoutSeconds") != "18" {
		t.Errorf("made %s", made.body)
	}
	const denied = `admission webhook "config.webhook.serving.knative.dev" denied the request: validation failed: `
	p.refused(400, metav1.StatusReasonBadRequest, denied, "PATCH", settings+"/config-defaults", `{"data":{"revision-timeout-seconds":"soon"}}`)
	p.refused(400, metav1.StatusReasonBadRequest, denied, "POST", settings, `{"metadata":{"name":"config-autoscaler"},"data":{"stable-window":"1s"}}`)
	p.must(200, "DELETE", settings+"/config-features", "")
	p.refused(400, metav1.StatusReasonBadRequest, "must not set the field(s)", "POST", services, strings.Replace(withInit, `"init"`, `"init2"`, 1))
}

func TestFieldValidation(t *testing.T) {
	p := start(t)
	wrong := strings.Replace(ksvc("x"), `"image"`, `"nmae":"y","image":"example.com/y","image"`, 1)
	message := `Service in version "v1" cannot be handled as a Service: strict decoding error: unknown field "spec.template.spec.containers[0].nmae", duplicate field "spec.template.spec.containers[0].image"`
	p.refused(400, metav1.StatusReasonBadRequest, message, "POST", services+"?fieldValidation=Strict", wrong)
	made := p.must(201, "POST", services+"?fieldValidation=Warn", wrong)
	if w := strings.Join(made.header.Values("Warning"), " "); !strings.Contains(w, `299 - "unknown field \"spec.template.spec.containers[0].nmae\""`) {
		t.Errorf("warnings %s", w)
	}
	silent := p.must(201, "POST", services+"?fieldValidation=Ignore", strings.Replace(wrong, `"name":"x"`, `"name":"z"`, 1))
	if w := strings.Join(silent.header.Values("Warning"), " "); strings.Contains(w, "unknown field") {
		t.Errorf("warnings %s", w)
	}
	p.refused(400, metav1.StatusReasonBadRequest, "fieldValidation", "POST", services+"?fieldValidation=Loose", wrong)
	p.refused(422, metav1.StatusReasonInvalid, `Service.serving.knative.dev "y" is invalid: spec.template.spec.timeoutSeconds: Invalid value: "string": spec.template.spec.timeoutSeconds in body must be of type integer: "string"`, "POST", services, strings.Replace(ksvc("y"), `"containers":[`, `"timeoutSeconds":"long","containers":[`, 1))
	p.refused(422, metav1.StatusReasonInvalid, `spec.traffic in body must be of type array`, "POST", services, strings.Replace(ksvc("y"), `"spec":{"template"`, `"spec":{"traffic":{},"template"`, 1))
	p.refused(400, metav1.StatusReasonBadRequest, `cannot be handled as a ConfigMap: json: cannot unmarshal`, "POST", configMaps, `{"metadata":{"name":"y"},"data":{"a":1}}`)
	p.refused(400, metav1.StatusReasonBadRequest, "", "POST", services, `{"metadata":`)
	p.refused(415, metav1.StatusReasonUnsupportedMediaType, "application/json, application/yaml", "POST", services, "x", "Content-Type: text/plain")
	p.refused(413, metav1.StatusReasonRequestEntityTooLarge, "limit is 3145728", "POST", services, strings.Repeat(" ", 3<<20+1))
	p.must(201, "POST", services, "metadata: {name: fromyaml}\nspec: {template: {spec: {containers: [{image: example.com/fn/y}]}}}\n", "Content-Type: application/yaml")
}

func TestDryRun(t *testing.T) {
	p := start(t)
	made := p.must(201, "POST", services+"?dryRun=All", ksvc("x"))
	if made.GetUID() == "" || made.GetAnnotations()["serving.knative.dev/creator"] == "" {
		t.Errorf("as if made: %s", made.body)
	}
	p.must(404, "GET", services+"/x", "")
	p.refused(400, metav1.StatusReasonBadRequest, "denied the request", "POST", services+"?dryRun=All", strings.Replace(ksvc("x"), "example.com/fn/x", "EXAMPLE", 1))
	p.must(201, "POST", services, ksvc("x"))
	p.refused(409, metav1.StatusReasonAlreadyExists, "", "POST", services+"?dryRun=All", ksvc("x"))
	patched := p.must(200, "PATCH", services+"/x?dryRun=All", `{"spec":{"template":{"spec":{"timeoutSeconds":7}}}}`)
	if patched.GetGeneration() != 2 || patched.field("spec", "template", "spec", "timeoutSeconds") != "7" {
		t.Errorf("as if patched: %s", patched.body)
	}
	p.must(200, "DELETE", services+"/x?dryRun=All", "")
	if left := p.must(200, "GET", services+"/x", ""); left.GetGeneration() != 1 {
		t.Errorf("changed by a dry run: %s", left.body)
	}
	p.refused(400, metav1.StatusReasonBadRequest, "dryRun", "POST", services+"?dryRun=Some", ksvc("y"))
}

func TestStatusIsASubresource(t *testing.T) {
	p := start(t)
	p.must(201, "POST", services, strings.Replace(ksvc("x"), `"spec":`, `"status":{"latestReadyRevisionName":"fake"},"spec":`, 1))
	read := p.must(200, "GET", services+"/x", "")
	if read.field("status", "latestReadyRevisionName") != "null" {
		t.Errorf("a client made a status: %s", read.body)
	}
	p.must(200, "PATCH", services+"/x", `{"status":{"latestReadyRevisionName":"fake"}}`)
	if read = p.must(200, "GET", services+"/x", ""); read.field("status", "latestReadyRevisionName") != "null" {
		t.Errorf("a client changed a status by the side: %s", read.body)
	}
	p.must(200, "PATCH", services+"/x/status", `{"status":{"latestReadyRevisionName":"x-1"},"spec":{"template":{"spec":{"timeoutSeconds":7}}}}`)
	read = p.must(200, "GET", services+"/x", "")
	if read.field("status", "latestReadyRevisionName") != "x-1" || read.GetGeneration() != 1 || read.field("spec", "template", "spec", "timeoutSeconds") != "300" {
		t.Errorf("after a patch of the status: %s", read.body)
	}
	p.must(404, "GET", services+"/x/scale", "")
}
