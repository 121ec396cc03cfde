package api

import (
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// of is a column of objects of type T.
func of[T store.Object](name, kind string, value func(T) any) column {
	return column{name: name, kind: kind, value: func(o store.Object) any {
		t, ok := o.(T)
		if !ok {
			return nil
		}
		return value(t)
	}}
}

func wide(c column) column {
	c.wide = true
	return c
}

// created is the age as Kubernetes' own kinds show it; a kind of a
// CustomResourceDefinition shows it only where no columns are given.
func created() column {
	return column{name: "Age", kind: "string", value: func(o store.Object) any { return age(o.GetCreationTimestamp()) }}
}

// columnsOf are the columns behind the name: those of Knative's
// CustomResourceDefinitions, and of Kubernetes.
func columnsOf(kind *store.Kind) []column {
	switch kind.New().(type) {
	case *servingv1.Service:
		return append([]column{
			of("URL", "string", func(o *servingv1.Service) any { return urlText(o.Status.URL) }),
			of("LatestCreated", "string", func(o *servingv1.Service) any { return orNone(o.Status.LatestCreatedRevisionName) }),
			of("LatestReady", "string", func(o *servingv1.Service) any { return orNone(o.Status.LatestReadyRevisionName) }),
		}, readiness(func(o *servingv1.Service) duckv1.Conditions { return o.Status.Conditions })...)
	case *servingv1.Configuration:
		return append([]column{
			of("LatestCreated", "string", func(o *servingv1.Configuration) any { return orNone(o.Status.LatestCreatedRevisionName) }),
			of("LatestReady", "string", func(o *servingv1.Configuration) any { return orNone(o.Status.LatestReadyRevisionName) }),
		}, readiness(func(o *servingv1.Configuration) duckv1.Conditions { return o.Status.Conditions })...)
	case *servingv1.Route:
		return append([]column{of("URL", "string", func(o *servingv1.Route) any { return urlText(o.Status.URL) })},
			readiness(func(o *servingv1.Route) duckv1.Conditions { return o.Status.Conditions })...)
	case *servingv1.Revision:
		return revisionColumns()
	case *v1alpha1.PodAutoscaler:
		return append([]column{
			of("DesiredScale", "integer", func(o *v1alpha1.PodAutoscaler) any { return scale(o.Status.DesiredScale) }),
			of("ActualScale", "integer", func(o *v1alpha1.PodAutoscaler) any { return scale(o.Status.ActualScale) }),
		}, readiness(func(o *v1alpha1.PodAutoscaler) duckv1.Conditions { return o.Status.Conditions })...)
	}
	return coreColumns(kind)
}

func revisionColumns() []column {
	out := []column{
		of("Config Name", "string", func(o *servingv1.Revision) any { return orNone(o.Labels[serving.ConfigurationLabelKey]) }),
		of("Generation", "string", func(o *servingv1.Revision) any { return orNone(o.Labels[serving.ConfigurationGenerationLabelKey]) }),
	}
	out = append(out, readiness(func(o *servingv1.Revision) duckv1.Conditions { return o.Status.Conditions })...)
	return append(out,
		of("Actual Replicas", "integer", func(o *servingv1.Revision) any { return scale(o.Status.ActualReplicas) }),
		of("Desired Replicas", "integer", func(o *servingv1.Revision) any { return scale(o.Status.DesiredReplicas) }))
}

// readiness is the condition Ready and its reason.
func readiness[T store.Object](conditions func(T) duckv1.Conditions) []column {
	ready := func(o T) *apis.Condition {
		for _, c := range conditions(o) {
			if c.Type == apis.ConditionReady || c.Type == apis.ConditionSucceeded {
				return &c
			}
		}
		return &apis.Condition{}
	}
	return []column{
		of("Ready", "string", func(o T) any { return orNone(string(ready(o).Status)) }),
		of("Reason", "string", func(o T) any { return orNone(ready(o).Reason) }),
	}
}

// orNone is an empty cell where there is no value, as a missing field gives.
func orNone(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func urlText(u *apis.URL) any {
	if u == nil {
		return nil
	}
	return u.String()
}

func scale(n *int32) any {
	if n == nil {
		return nil
	}
	return *n
}

func coreColumns(kind *store.Kind) []column {
	switch kind.New().(type) {
	case *corev1.Pod:
		return podColumns()
	case *appsv1.Deployment:
		return []column{
			of("Ready", "string", func(o *appsv1.Deployment) any {
				return fmt.Sprintf("%d/%d", o.Status.ReadyReplicas, replicas(o))
			}),
			of("Up-to-date", "integer", func(o *appsv1.Deployment) any { return o.Status.UpdatedReplicas }),
			of("Available", "integer", func(o *appsv1.Deployment) any { return o.Status.AvailableReplicas }),
			created(),
		}
	case *corev1.Event:
		return []column{
			of("Last Seen", "string", func(o *corev1.Event) any { return age(lastSeen(o)) }),
			of("Type", "string", func(o *corev1.Event) any { return o.Type }),
			of("Reason", "string", func(o *corev1.Event) any { return o.Reason }),
			of("Object", "string", func(o *corev1.Event) any {
				return strings.ToLower(o.InvolvedObject.Kind) + "/" + o.InvolvedObject.Name
			}),
			of("Message", "string", func(o *corev1.Event) any { return strings.TrimSpace(o.Message) }),
		}
	case *corev1.Namespace:
		return []column{of("Status", "string", func(o *corev1.Namespace) any { return string(o.Status.Phase) }), created()}
	case *corev1.Secret:
		return []column{
			of("Type", "string", func(o *corev1.Secret) any { return string(o.Type) }),
			of("Data", "integer", func(o *corev1.Secret) any { return len(o.Data) }),
			created(),
		}
	case *corev1.ConfigMap:
		return []column{of("Data", "integer", func(o *corev1.ConfigMap) any { return len(o.Data) + len(o.BinaryData) }), created()}
	case *corev1.ServiceAccount:
		return []column{of("Secrets", "integer", func(o *corev1.ServiceAccount) any { return len(o.Secrets) }), created()}
	case *corev1.Service:
		return serviceColumns()
	case *corev1.Node:
		return nodeColumns()
	}
	return []column{created()}
}

func replicas(o *appsv1.Deployment) int32 {
	if o.Spec.Replicas == nil {
		return 1
	}
	return *o.Spec.Replicas
}

func lastSeen(o *corev1.Event) metav1.Time {
	switch {
	case o.Series != nil:
		return metav1.NewTime(o.Series.LastObservedTime.Time)
	case !o.LastTimestamp.IsZero():
		return o.LastTimestamp
	case !o.EventTime.IsZero():
		return metav1.NewTime(o.EventTime.Time)
	}
	return o.CreationTimestamp
}

func serviceColumns() []column {
	return []column{
		of("Type", "string", func(o *corev1.Service) any { return string(o.Spec.Type) }),
		of("Cluster-IP", "string", func(o *corev1.Service) any { return textOr(o.Spec.ClusterIP, "<none>") }),
		of("External-IP", "string", func(o *corev1.Service) any {
			return textOr(strings.Join(append(o.Spec.ExternalIPs, o.Spec.ExternalName), ","), "<none>")
		}),
		of("Port(s)", "string", func(o *corev1.Service) any {
			var ports []string
			for _, p := range o.Spec.Ports {
				ports = append(ports, strconv.Itoa(int(p.Port))+"/"+string(p.Protocol))
			}
			return textOr(strings.Join(ports, ","), "<none>")
		}),
		created(),
	}
}

func nodeColumns() []column {
	return []column{
		of("Status", "string", func(o *corev1.Node) any {
			for _, c := range o.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
					return "Ready"
				}
			}
			return "NotReady"
		}),
		of("Roles", "string", func(*corev1.Node) any { return "<none>" }),
		created(),
		of("Version", "string", func(o *corev1.Node) any { return o.Status.NodeInfo.KubeletVersion }),
	}
}

func textOr(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
