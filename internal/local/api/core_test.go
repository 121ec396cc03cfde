package api_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kn-lite/kn-lite/internal/local/api"
)

const secrets = "/api/v1/namespaces/default/secrets"

func TestSecrets(t *testing.T) {
	p := start(t)
	out := p.must(201, "POST", secrets, `{"metadata":{"name":"s"},"data":{"a":"eA=="},"stringData":{"b":"y"}}`)
	if out.field("data") != `{"a":"eA==","b":"eQ=="}` || out.field("stringData") != "null" || out.field("type") != "Opaque" {
		t.Errorf("secret %s", out.body)
	}
	p.refused(422, metav1.StatusReasonInvalid, `data[a/b]: Invalid value: "a/b"`, "POST", secrets, `{"metadata":{"name":"t"},"data":{"a/b":""}}`)
	p.refused(422, metav1.StatusReasonInvalid, "data[.dockerconfigjson]: Required value", "POST", secrets, `{"metadata":{"name":"t"},"type":"kubernetes.io/dockerconfigjson"}`)
	p.refused(422, metav1.StatusReasonInvalid, "field is immutable", "PATCH", secrets+"/s", `{"type":"other"}`)
	p.must(200, "PATCH", secrets+"/s", `{"immutable":true}`)
	p.refused(422, metav1.StatusReasonInvalid, "field is immutable when `immutable` is set", "PATCH", secrets+"/s", `{"data":{"a":"eg=="}}`)
	p.refused(422, metav1.StatusReasonInvalid, "data: Too long", "POST", secrets, `{"metadata":{"name":"t"},"stringData":{"a":"`+strings.Repeat("x", 1<<20+1)+`"}}`)
}

func TestConfigMaps(t *testing.T) {
	p := start(t)
	p.refused(422, metav1.StatusReasonInvalid, "duplicate of key present in binaryData", "POST", configMaps, `{"metadata":{"name":"t"},"data":{"a":""},"binaryData":{"a":""}}`)
	p.must(201, "POST", configMaps, `{"metadata":{"name":"t"},"immutable":true,"data":{"a":""}}`)
	p.refused(422, metav1.StatusReasonInvalid, "field is immutable", "PATCH", configMaps+"/t", `{"data":{"a":"b"}}`)
}

func TestCoreServices(t *testing.T) {
	p := start(t)
	const path = "/api/v1/namespaces/default/services"
	out := p.must(201, "POST", path, `{"metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}`)
	if out.field("spec", "type") != "ClusterIP" || out.field("spec", "ports") != `[{"port":80,"protocol":"TCP","targetPort":80}]` {
		t.Errorf("service %s", out.body)
	}
	p.refused(422, metav1.StatusReasonInvalid, "spec.ports: Required value", "POST", path, `{"metadata":{"name":"none"}}`)
	p.refused(422, metav1.StatusReasonInvalid, "a DNS-1035 label must", "POST", path, `{"metadata":{"name":"1web"},"spec":{"ports":[{"port":80}]}}`)
	// A service of Knative and one of Kubernetes may have one name.
	p.must(201, "POST", services, ksvc("web"))
}

// Clients of Kubernetes' own kinds send protobuf where they can, and read JSON.
func TestProtobufBody(t *testing.T) {
	p := start(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"a": "x"}}
	raw, err := secret.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Raw: raw}
	body, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const protobuf = "Content-Type: application/vnd.kubernetes.protobuf"
	out := p.must(201, "POST", secrets, "k8s\x00"+string(body), protobuf, "Accept: application/vnd.kubernetes.protobuf,application/json")
	if out.field("data", "a") != "eA==" {
		t.Errorf("secret %s", out.body)
	}
	p.refused(400, metav1.StatusReasonBadRequest, "", "POST", secrets, "k8s\x00\xff\xff", protobuf)
	p.refused(400, metav1.StatusReasonBadRequest, "does not begin with k8s", "POST", secrets, string(body), protobuf)
	p.refused(400, metav1.StatusReasonBadRequest, "does not match the expected kind", "POST", configMaps, "k8s\x00"+string(body), protobuf)
	envelope.TypeMeta = runtime.TypeMeta{APIVersion: "serving.knative.dev/v1", Kind: "Service"}
	if body, err = envelope.Marshal(); err != nil {
		t.Fatal(err)
	}
	p.refused(415, metav1.StatusReasonUnsupportedMediaType, "", "POST", services, "k8s\x00"+string(body), protobuf)
}

type fakeLogs struct{ asked *corev1.PodLogOptions }

func (f *fakeLogs) Logs(_ context.Context, namespace, pod string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	f.asked = o
	if o.Container == "broken" {
		panic(errors.New("the log's reader broke"))
	}
	return io.NopCloser(strings.NewReader(namespace + "/" + pod + " says hello\n")), nil
}

func TestPodLog(t *testing.T) {
	logs := &fakeLogs{}
	p := start(t, func(o *api.Options) { o.Logs = logs })
	p.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one"}})
	const pods = "/api/v1/namespaces/default/pods"
	out := p.must(200, "GET", pods+"/one/log?container=c&follow=true&tailLines=0&limitBytes=10&sinceSeconds=5&timestamps=true&previous=true", "")
	if out.body != "default/one says hello\n" || out.header.Get("Content-Type") != "text/plain" {
		t.Errorf("log %q %v", out.body, out.header)
	}
	if o := logs.asked; o.Container != "c" || !o.Follow || *o.TailLines != 0 || *o.LimitBytes != 10 || *o.SinceSeconds != 5 || !o.Timestamps || !o.Previous {
		t.Errorf("asked %+v", o)
	}
	p.refused(404, metav1.StatusReasonNotFound, `pods "none" not found`, "GET", pods+"/none/log", "")
	p.refused(400, metav1.StatusReasonBadRequest, "tailLines", "GET", pods+"/one/log?tailLines=-1", "")
	p.refused(400, metav1.StatusReasonBadRequest, "sinceTime", "GET", pods+"/one/log?sinceTime=yesterday", "")
	// A fault of the server is an answer too.
	p.refused(500, metav1.StatusReasonInternalError, "the log's reader broke", "GET", pods+"/one/log?container=broken", "")
	p.must(200, "GET", pods, "")
}
