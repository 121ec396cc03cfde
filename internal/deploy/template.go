package deploy

import (
	"context"
	"maps"

	"k8s.io/apimachinery/pkg/api/equality"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/traffic"
)

// sameTemplate reports whether two services ask for the same revision. Its
// name does not count, nor does what an image is called as long as it is the
// same by digest.
func sameTemplate(live, desired *servingv1.Service) bool {
	return equality.Semantic.DeepEqual(essence(live.Spec.Template), essence(desired.Spec.Template))
}

// essence returns a template without what makes no other revision.
func essence(t servingv1.RevisionTemplateSpec) servingv1.RevisionTemplateSpec {
	svc := &servingv1.Service{}
	svc.Spec.Template = *t.DeepCopy()
	// What the webhook would fill in is no difference.
	svc.SetDefaults(context.Background())
	out := svc.Spec.Template
	out.Name = ""
	delete(out.Annotations, UserImageKey)
	return out
}

// isTemplateOf reports whether rev is what Knative makes of the template t. It
// adds labels and annotations of its own to a revision.
func isTemplateOf(t *servingv1.RevisionTemplateSpec, rev *servingv1.Revision) bool {
	if rev == nil {
		return false
	}
	asked := essence(*t)
	made := essence(servingv1.RevisionTemplateSpec{Spec: rev.Spec})
	return equality.Semantic.DeepEqual(asked.Spec, made.Spec) &&
		contains(rev.Annotations, asked.Annotations) && contains(rev.Labels, asked.Labels)
}

func contains(all, some map[string]string) bool {
	for key, value := range some {
		if all[key] != value {
			return false
		}
	}
	return true
}

// metadata returns the labels and annotations that users see as theirs.
func metadata(svc *servingv1.Service) [2]map[string]string {
	return [2]map[string]string{maps.Clone(svc.Labels), traffic.WithoutState(svc.Annotations)}
}

// asksFor reports whether the service's template is that of the revision. At
// rest no template has a name, so its content decides.
func asksFor(ctx context.Context, cluster Cluster, svc *servingv1.Service, revision string) (bool, error) {
	if name := svc.Spec.Template.Name; name != "" {
		return name == revision, nil
	}
	rev, err := cluster.FindRevision(ctx, revision)
	return isTemplateOf(&svc.Spec.Template, rev), err
}
