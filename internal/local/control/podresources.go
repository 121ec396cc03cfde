package control

import (
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkResources refuses what Kubernetes refuses of a deployment and Knative accepts of
// a revision: an instance that is to have more than it may take.
func checkResources(d *appsv1.Deployment) error {
	path := field.NewPath("spec", "template", "spec")
	var invalid field.ErrorList
	for n, c := range d.Spec.Template.Spec.InitContainers {
		invalid = append(invalid, checkRequests(path.Child("initContainers").Index(n).Child("resources"), c.Resources)...)
	}
	for n, c := range d.Spec.Template.Spec.Containers {
		invalid = append(invalid, checkRequests(path.Child("containers").Index(n).Child("resources"), c.Resources)...)
	}
	if len(invalid) == 0 {
		return nil
	}
	return apierrors.NewInvalid(appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind(), d.Name, invalid)
}

func checkRequests(path *field.Path, r corev1.ResourceRequirements) field.ErrorList {
	var invalid field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request := r.Requests[name]
		if limit, ok := r.Limits[name]; ok && request.Cmp(limit) > 0 {
			invalid = append(invalid, field.Invalid(path.Child("requests"), request.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		}
	}
	return invalid
}
