package deploy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// lastApplied is kubectl's note of what it has applied.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Export returns a live service as a file would ask for it, to be applied by kubectl,
// Argo CD or Flux, here or elsewhere: without status, without what a server or another
// tool notes on it, and without the names of revisions, which are not there elsewhere
// and cannot be used twice here.
//
// The split names revisions too; it is left out unless it is asked for. Where a file
// does not speak of it, who applies the file leaves it alone.
func Export(svc *servingv1.Service, withTraffic bool) map[string]any {
	clean := svc.DeepCopy()
	clean.CreationTimestamp, clean.Namespace = metav1.Time{}, ""
	clean.DeletionTimestamp, clean.DeletionGracePeriodSeconds = nil, nil
	clean.OwnerReferences, clean.Finalizers, clean.GenerateName = nil, nil, ""
	clean.Spec.Template.Name = ""
	for _, key := range []string{lastApplied, serving + "creator", serving + "lastModifier", traffic.ProjectKey} {
		delete(clean.Annotations, key)
	}
	delete(clean.Spec.Template.Annotations, UserImageKey)
	if clean.Labels[managedByKey] == "kn-lite" {
		delete(clean.Labels, managedByKey) // who applies the file manages it
	}
	if !withTraffic {
		clean.Spec.Traffic = nil
	}
	return Manifest(clean)
}
