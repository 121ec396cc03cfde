package deploy

import (
	"context"
	"encoding/json"
	"maps"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// record is on the service, as an annotation, while a deploy is under way. It
// has all that is needed to finish or to undo it, by whoever comes next: this
// process, or another one after this was killed.
type record struct {
	Revision string `json:"revision"` // that is being waited for

	// The state before. Template comes without its spec when the revision
	// Former has the same, so that the annotation stays small.
	Former   string                          `json:"former,omitempty"` // revision of the former template
	Template *servingv1.RevisionTemplateSpec `json:"template,omitempty"`
	Traffic  []servingv1.TrafficTarget       `json:"traffic,omitempty"`
	Serving  string                          `json:"serving,omitempty"` // what the latest revision meant in Traffic
	Pinned   []servingv1.TrafficTarget       `json:"pinned,omitempty"`  // Traffic by name, as it serves meanwhile

	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"` // without kn-lite's own logs
}

// recordOf reads the annotation; nil when there is none, or none that can be
// read: then nothing is undone, which is the safe side.
func recordOf(svc *servingv1.Service) *record {
	var r record
	if svc == nil || json.Unmarshal([]byte(svc.Annotations[recordKey]), &r) != nil {
		return nil
	}
	return &r
}

func (r *record) write(svc *servingv1.Service) {
	// API objects marshal: they came from JSON.
	raw, _ := json.Marshal(r)
	svc.Annotations = put(svc.Annotations, recordKey, string(raw))
}

// dropRecord removes the annotation.
func dropRecord(svc *servingv1.Service) {
	if delete(svc.Annotations, recordKey); len(svc.Annotations) == 0 {
		svc.Annotations = nil
	}
}

// annotations returns the former annotations with those that are a log of what
// has happened, which only ever grows.
func (r *record) annotations(now map[string]string) map[string]string {
	out := maps.Clone(r.Annotations)
	if log := now[traffic.HistoryKey]; log != "" {
		out = put(out, traffic.HistoryKey, log)
	}
	return out
}

// follows reports whether new revisions got traffic by themselves before.
func (r *record) follows() bool { return follows(SplitOf(r.Traffic).Normal()) }

// newRecord notes the state of live, whose template is that of the revision
// former (nil: it has none).
func newRecord(live *servingv1.Service, former *servingv1.Revision) record {
	meta := metadata(live)
	split, serving := pinned(live)
	r := record{
		Template: live.Spec.Template.DeepCopy(), Traffic: live.Spec.Traffic,
		Pinned: TargetsOf(split), Serving: serving, Labels: meta[0], Annotations: meta[1],
	}
	if isTemplateOf(&live.Spec.Template, former) {
		r.Former, r.Template.Spec = former.Name, servingv1.RevisionSpec{}
	}
	return r
}

// template returns the whole former template.
func (r *record) template(ctx context.Context, cluster Cluster) (*servingv1.RevisionTemplateSpec, error) {
	whole := r.Template.DeepCopy()
	if len(whole.Spec.Containers) > 0 {
		return whole, nil
	}
	rev, err := cluster.FindRevision(ctx, r.Former)
	if err != nil {
		return nil, err
	}
	if rev == nil {
		return nil, fault.New(fault.NotFound, "deploy.undo", "revision/"+r.Former, "it was deleted, so the template that made it cannot be brought back")
	}
	whole.Spec = *rev.Spec.DeepCopy()
	return whole, nil
}
