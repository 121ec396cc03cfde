package deploy

import (
	"context"
	"encoding/json"
	"maps"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// record is on the service, as an annotation, while a deploy is under way. It
// has all that is needed to finish or to undo it, by whoever comes next: this
// process, or another one after this was killed.
type record struct {
	Revision string `json:"revision"` // that is being waited for

	// The state before. Template comes without its spec when the revision
	// Former has the same, so that the annotation stays small; it is nil when it
	// does not fit at all: see write.
	Former   string                          `json:"former,omitempty"` // revision of the former template
	Template *servingv1.RevisionTemplateSpec `json:"template,omitempty"`
	Traffic  []servingv1.TrafficTarget       `json:"traffic,omitempty"`
	Serving  string                          `json:"serving,omitempty"` // what the latest revision meant in Traffic
	Pinned   []servingv1.TrafficTarget       `json:"pinned,omitempty"`  // Traffic by name, as it serves meanwhile

	// What the deploy has changed of the service's own, as it was; nil: absent.
	Labels      map[string]*string `json:"labels,omitempty"`
	Annotations map[string]*string `json:"annotations,omitempty"`
}

// recordOf reads the annotation; nil when there is none, or none that can be
// read: then nothing is undone, which is the safe side.
func recordOf(svc *servingv1.Service) *record {
	var r record
	if svc == nil || json.Unmarshal([]byte(svc.Annotations[traffic.DeployKey]), &r) != nil {
		return nil
	}
	return &r
}

// addTo returns a change of svc with the record in it, without the former
// template when that would be more than an object may have of annotations: this
// process still has it then, and no other one can bring it back.
func (r *record) addTo(change traffic.Change, svc *servingv1.Service) traffic.Change {
	noted := change.Annotate(traffic.DeployKey, r.encode())
	if r.Template == nil || traffic.Fits(noted.ApplyTo(svc.Annotations)) {
		return noted
	}
	short := *r
	short.Template = nil
	return change.Annotate(traffic.DeployKey, short.encode())
}

func (r *record) encode() string {
	raw, _ := json.Marshal(r) // API objects marshal: they came from JSON
	return string(raw)
}

// noteMetadata notes the labels and annotations that after changes of before,
// unless they are noted already.
func (r *record) noteMetadata(before, after *servingv1.Service) {
	was, is := metadata(before), metadata(after)
	r.Labels, r.Annotations = note(r.Labels, was[0], is[0]), note(r.Annotations, was[1], is[1])
}

func note(noted map[string]*string, before, after map[string]string) map[string]*string {
	out := maps.Clone(noted)
	if out == nil {
		out = make(map[string]*string)
	}
	for key, value := range before {
		if now, there := after[key]; !there || now != value {
			if _, earlier := out[key]; !earlier {
				out[key] = &value
			}
		}
	}
	for key := range after {
		_, there := before[key]
		if _, earlier := out[key]; !there && !earlier {
			out[key] = nil
		}
	}
	return out
}

// restore returns now with what was noted as it was.
func restore(now map[string]string, noted map[string]*string) map[string]string {
	for key, value := range noted {
		if value == nil {
			delete(now, key)
		} else {
			now = put(now, key, *value)
		}
	}
	if len(now) == 0 {
		return nil
	}
	return now
}

// follows reports whether new revisions got traffic by themselves before.
func (r *record) follows() bool { return knative.Split(r.Traffic).Normal().Follows() }

// newRecord notes the state of live, whose template is that of the revision
// former (nil: it has none).
func newRecord(live *servingv1.Service, former *servingv1.Revision) record {
	split, serving := knative.Snapshot(live).Pinned()
	r := record{
		Template: live.Spec.Template.DeepCopy(), Traffic: live.Spec.Traffic,
		Pinned: knative.Targets(split), Serving: serving,
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
