package api_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A revision may begin without an instance; other rules are a cluster's.
func TestSettingsOfAdmission(t *testing.T) {
	p := start(t)
	with := func(name, annotations string) string {
		return strings.Replace(ksvc(name), `"template":{`, `"template":{"metadata":{"annotations":{`+annotations+`}},`, 1)
	}
	p.must(201, "POST", services, with("zero", `"autoscaling.knative.dev/initial-scale":"0"`))
	p.refused(400, metav1.StatusReasonBadRequest, "autoscaling.knative.dev/initial-scale", "POST", services, with("less", `"autoscaling.knative.dev/initial-scale":"-1"`))
	p.refused(400, metav1.StatusReasonBadRequest, "autoscaling.knative.dev/max-scale", "POST", services, with("wrong", `"autoscaling.knative.dev/max-scale":"-1"`))
}
