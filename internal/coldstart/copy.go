package coldstart

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/autoscaling"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// CopyLabel is on the services that are measured in place of others; its value is
// the name of the other one.
const CopyLabel = traffic.Prefix + "coldstart-of"

// visibility says whether a service is reached from outside of its cluster.
const visibility = "networking.knative.dev/visibility"

// shortestWindow is the shortest that Knative accepts.
const shortestWindow = "6s"

// longestBase leaves room for what Knative adds to a service's name in those of its
// revisions and their pods.
const longestBase = 36

// CopyName returns the name of a copy of a service.
func CopyName(service, suffix string) string {
	return strings.TrimRight(service[:min(len(service), longestBase)], "-") + "-cold-" + suffix
}

// Scales reports whether a revision can be at zero at all: only Knative's own
// autoscaler goes there.
func Scales(rev *servingv1.Revision) bool {
	class := rev.Annotations[autoscaling.ClassAnnotationKey]
	return class == "" || class == autoscaling.KPA
}

// Copy returns a service that runs what rev runs and goes to zero as soon as Knative
// lets it. It belongs to svc, and goes with it.
func Copy(svc *servingv1.Service, rev *servingv1.Revision, name string) *servingv1.Service {
	out := &servingv1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: servingv1.SchemeGroupVersion.String(), Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: svc.Namespace, Labels: map[string]string{CopyLabel: svc.Name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: servingv1.SchemeGroupVersion.String(), Kind: "Service", Name: svc.Name, UID: svc.UID}},
		},
	}
	if value, ok := svc.Labels[visibility]; ok {
		out.Labels[visibility] = value
	}
	template := &out.Spec.Template
	template.Spec = *rev.Spec.DeepCopy()
	template.Labels, template.Annotations = map[string]string{}, map[string]string{}
	for key, value := range rev.Labels {
		if !belongsToKnative(key) {
			template.Labels[key] = value
		}
	}
	for key, value := range rev.Annotations {
		if !belongsToKnative(key) {
			template.Annotations[key] = value
		}
	}
	for _, key := range []string{autoscaling.InitialScaleAnnotationKey, autoscaling.ActivationScaleKey, autoscaling.MinScaleAnnotationKey, "autoscaling.knative.dev/minScale", "autoscaling.knative.dev/initialScale"} {
		delete(template.Annotations, key)
	}
	template.Annotations[autoscaling.MinScaleAnnotationKey] = "0"
	template.Annotations[autoscaling.WindowAnnotationKey] = shortestWindow
	template.Annotations[autoscaling.ScaleDownDelayAnnotationKey] = "0s"
	template.Annotations[autoscaling.ScaleToZeroPodRetentionPeriodKey] = "0s"
	// A request to zero goes through the activator in any case. Where it always does,
	// nothing has to be switched over before the last pod goes, which takes half a minute.
	template.Annotations[autoscaling.TargetBurstCapacityKey] = "-1"
	return out
}

// belongsToKnative reports whether a label or an annotation is what Knative, or a
// tool of it, has written on a revision about that very revision.
func belongsToKnative(key string) bool {
	for _, prefix := range []string{serving.GroupName + "/", "client.knative.dev/", "function.knative.dev/", traffic.Prefix} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return key == "app" // Knative's own selector
}
