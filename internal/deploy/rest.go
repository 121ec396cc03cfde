package deploy

import (
	"context"
	"fmt"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// unname leaves no name in the template, if this deploy has put one there. What
// a moment may cure is tried again when the deploy is done.
func (d *deployer) unname(ctx context.Context, done bool) {
	if d.p.live.Spec.Template.Name != d.p.revision || !d.p.names || done && !d.unnameLater {
		return
	}
	err := unname(ctx, d.cluster, d.spec.Service, d.p.revision)
	later := err != nil && !done && !d.opts.NoWait && fault.KindOf(err) != fault.Auth
	if err != nil && !later {
		d.opts.Report.Warn(stillNamed(d.p.revision, err))
	}
	d.unnameLater = later
}

// learnName finds out what Knative has called the revision of a template
// without a name, and notes it in the record.
func (d *deployer) learnName(ctx context.Context) error {
	svc, err := settled(ctx, d.cluster, d.spec.Service)
	if err != nil {
		return err
	}
	var made *servingv1.Revision
	if svc != nil {
		if made, err = currentRevision(ctx, d.cluster, svc); err != nil {
			return err
		}
	}
	if made == nil {
		return fault.New(fault.Partial, "deploy.write", "service/"+d.spec.Service, "its template is written, and Knative has made no revision of it").
			WithHint("see `%s`", d.command("describe "+d.spec.Service))
	}
	d.p.revision = made.Name
	if d.p.former == nil {
		return nil
	}
	d.p.former.Revision = made.Name
	if d.opts.NoWait {
		_, err := d.shift(ctx)
		return err
	}
	s := d.rewrite(ctx, func(_ context.Context, svc *servingv1.Service) (*servingv1.Service, error) {
		if r := recordOf(svc); r == nil || r.Revision != "" {
			return svc, nil
		}
		return knative.Apply(svc, d.p.former.addTo(traffic.Change{}, svc)), nil
	})
	return s.err
}

// stillNamed says what it means that the template keeps the revision's name.
func stillNamed(revision string, err error) string {
	return fmt.Sprintf("the template of the service keeps the name %s: %v; other tools have to give it another name when they change it (kubectl: spec.template.metadata.name, kn: --revision-name)", revision, err)
}

// disown leaves all fields of the service to whoever applies it next: server-side
// apply refuses to touch what another tool owns. To fail at this loses nothing else.
func (d *deployer) disown(ctx context.Context) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := d.cluster.DisownService(bounded, d.spec.Service); err != nil {
		d.opts.Report.Note(fmt.Sprintf("kn-lite still owns fields of the service (%v); kubectl apply --server-side may ask for --force-conflicts", err))
	}
}
