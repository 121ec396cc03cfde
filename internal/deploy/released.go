package deploy

import (
	"encoding/json"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// released is the template that the service had before a preview: what a preview sets
// is no setting of the next deploy's. It stands on the service as long as the live
// template is a preview's.
type released struct {
	Preview  string                          `json:"preview"` // the revision that the live template is of
	Template *servingv1.RevisionTemplateSpec `json:"template"`
	Project  string                          `json:"project,omitempty"` // what of it came from func.yaml
}

// releasedBefore returns what was released before the preview whose template is live;
// nil where the live template, that of the revision current, is no preview's.
func releasedBefore(live *servingv1.Service, current *servingv1.Revision) *released {
	var r released
	if live == nil || current == nil || json.Unmarshal([]byte(live.Annotations[traffic.ReleasedKey]), &r) != nil || r.Template == nil || r.Preview != current.Name {
		return nil
	}
	return &r
}

// under returns live with the template that was released.
func (r *released) under(live *servingv1.Service) *servingv1.Service {
	if r == nil {
		return live
	}
	svc := live.DeepCopy()
	svc.Spec.Template = *r.Template.DeepCopy()
	if delete(svc.Annotations, traffic.ProjectKey); r.Project != "" {
		svc.Annotations = put(svc.Annotations, traffic.ProjectKey, r.Project)
	}
	return svc
}

// takesPreview reports whether a deploy asks for the very content of a preview that gets
// no traffic, as after its pull request was merged: then it goes live.
func (d *deployer) takesPreview(p *plan) bool {
	return p.aside != nil && !d.spec.Aside && knative.Snapshot(p.live).Spec.Percent(p.revision, p.live.Status.LatestReadyRevisionName) == 0
}

// noteReleased notes on next, whose template makes the revision of p, what was released
// before a preview; after another deploy the note is not needed.
func (d *deployer) noteReleased(p *plan, next *servingv1.Service) {
	delete(next.Annotations, traffic.ReleasedKey)
	if !d.spec.Aside || p.live == nil || p.revision == "" {
		return
	}
	note := released{Preview: p.revision, Template: p.live.Spec.Template.DeepCopy(), Project: p.live.Annotations[traffic.ProjectKey]}
	if p.aside != nil {
		note.Template, note.Project = p.aside.Template, p.aside.Project
	}
	note.Template.Name = ""
	raw, _ := json.Marshal(note) // API objects marshal: they came from JSON
	next.Annotations = put(next.Annotations, traffic.ReleasedKey, string(raw))
	if !traffic.Fits(next.Annotations) {
		delete(next.Annotations, traffic.ReleasedKey)
		d.opts.Report.Warn("the annotations of " + d.spec.Service + " have no space for its template: what this preview sets stays set in the next deploy")
	}
}
