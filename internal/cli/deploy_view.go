package cli

import (
	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/render"
)

// printService prints an API object: as YAML for people, who paste it into
// files, and as whatever -o asks for.
func printService(f *Factory, name string, manifest map[string]any) error {
	return f.print(answer{
		Object: manifest,
		Names:  []string{serviceResource + name},
		Table: func() error {
			text, err := render.Form{Name: render.YAML}.Text(manifest)
			if err != nil {
				return err
			}
			return f.IO.Exact(text)
		},
	})
}

// deployAnswer is a deploy as -o json shows it.
type deployAnswer struct {
	header
	app.DeploySummary
}

func printDeploy(f *Factory, r *app.DeployResult) error {
	share := r.Split.Percent(r.Revision, r.Revision)
	switch {
	case r.Outcome == deploy.Unchanged:
		f.IO.Step("unchanged: %s has this content and these settings already (%d %% of the traffic)", r.Revision, share)
	case !r.Ready:
		f.IO.Note("not waiting: %s gets its traffic from Knative once it is ready", r.Revision)
	}
	if share == 0 && r.Ready {
		f.IO.Note("%s gets no traffic; `kn-lite traffic split %s=100` makes it live", r.Revision, shortRevision(r.Service, r.Revision))
	}
	if r.TagURL != "" {
		f.IO.Note("%s is also at %s", r.Revision, r.TagURL)
	}
	return f.print(answer{
		Object: deployAnswer{head("Deployment"), r.Summarize()},
		Names:  []string{serviceResource + r.Service},
		Table: func() error {
			if r.URL == "" {
				return nil
			}
			return f.IO.Answer("%s", r.URL)
		},
	})
}
