package api_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubectl exec and its kin are told that there is no such thing, whichever protocol they
// try; of a pod that there is not, that there is no pod.
func TestNothingToStream(t *testing.T) {
	p := start(t)
	if _, err := p.store.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod"}}); err != nil {
		t.Fatal(err)
	}
	const pods = "/api/v1/namespaces/default/pods/"
	for _, sub := range []string{"exec?command=ls", "attach", "portforward?ports=80"} {
		for _, method := range []string{"GET", "POST"} {
			p.refused(501, "NotImplemented", "the embedded platform has no pods/", method, pods+"pod/"+sub, "", "Connection: Upgrade", "Upgrade: websocket")
		}
	}
	p.refused(404, "NotFound", `pods "none" not found`, "POST", pods+"none/exec", "")
}
