package api

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// isSelectable reports whether objects of a kind can be chosen by a field.
func isSelectable(kind *store.Kind, name string) bool {
	if name == "metadata.name" || name == "metadata.namespace" {
		return true
	}
	_, ok := fieldsOf(kind.New())[name]
	return ok
}

// fieldsOf are the values that a field selector can ask for.
func fieldsOf(object store.Object) fields.Set {
	out := fields.Set{"metadata.name": object.GetName(), "metadata.namespace": object.GetNamespace()}
	switch o := object.(type) {
	case *corev1.Pod:
		out["spec.nodeName"] = o.Spec.NodeName
		out["spec.restartPolicy"] = string(o.Spec.RestartPolicy)
		out["spec.schedulerName"] = o.Spec.SchedulerName
		out["spec.serviceAccountName"] = o.Spec.ServiceAccountName
		out["spec.hostNetwork"] = strconv.FormatBool(o.Spec.HostNetwork)
		out["status.phase"] = string(o.Status.Phase)
		out["status.podIP"] = o.Status.PodIP
		out["status.nominatedNodeName"] = o.Status.NominatedNodeName
	case *corev1.Event:
		addEventFields(out, o)
	case *corev1.Secret:
		out["type"] = string(o.Type)
	case *corev1.Namespace:
		out["status.phase"] = string(o.Status.Phase)
	case *corev1.Node:
		out["spec.unschedulable"] = strconv.FormatBool(o.Spec.Unschedulable)
	case *corev1.Service:
		out["spec.clusterIP"] = o.Spec.ClusterIP
		out["spec.type"] = string(o.Spec.Type)
	}
	return out
}

func addEventFields(out fields.Set, o *corev1.Event) {
	out["involvedObject.kind"] = o.InvolvedObject.Kind
	out["involvedObject.namespace"] = o.InvolvedObject.Namespace
	out["involvedObject.name"] = o.InvolvedObject.Name
	out["involvedObject.uid"] = string(o.InvolvedObject.UID)
	out["involvedObject.apiVersion"] = o.InvolvedObject.APIVersion
	out["involvedObject.resourceVersion"] = o.InvolvedObject.ResourceVersion
	out["involvedObject.fieldPath"] = o.InvolvedObject.FieldPath
	out["reason"] = o.Reason
	out["type"] = o.Type
	out["reportingComponent"] = o.ReportingController
	out["source"] = o.Source.Component
	if o.Source.Component == "" {
		out["source"] = o.ReportingController
	}
}
