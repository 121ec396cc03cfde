package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/preview"
)

type previewCreateOptions struct {
	*deployOptions
	Number   int
	Lifetime time.Duration
}

// previewAnswer is what `preview create` prints as JSON.
type previewAnswer struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Outcome    string    `json:"outcome"` // as of deploy
	Service    string    `json:"service"`
	Namespace  string    `json:"namespace"`
	PR         int       `json:"pr"`
	Tag        string    `json:"tag"`
	URL        string    `json:"url,omitempty"` // of the preview
	ServiceURL string    `json:"serviceURL,omitempty"`
	Revision   string    `json:"revision"`
	Image      string    `json:"image"`
	Expires    time.Time `json:"expires"`
}

// decidedByPreview are the flags of deploy that a preview decides itself.
func decidedByPreview() []string {
	return []string{"no-traffic", "traffic", "tag", "no-wait", "dry-run", "abort"}
}

// newPreviewCreateCmd is deploy with its own answer: every flag that says how to build
// and what the revision is to be means the same.
func newPreviewCreateCmd(f *Factory, runF func(context.Context, *previewCreateOptions) error) *cobra.Command {
	o := &previewCreateOptions{}
	lifetime := ""
	cmd := newDeployCmd(f, func(ctx context.Context, deployed *deployOptions) error {
		o.deployOptions = deployed
		for _, flag := range decidedByPreview() {
			if deployed.changed(flag) {
				return fault.Usagef("--%s: a preview decides this itself", flag).WithHint("it gets no traffic, and the tag pr-N")
			}
		}
		var err error
		if o.Lifetime, err = parseAge("--ttl", lifetime); err != nil {
			return err
		}
		if !deployed.changed("pr") {
			o.Number = preview.FromCI(f.Sys.Env)
		}
		switch {
		case o.Number < 1 && !deployed.changed("pr"):
			return fault.Usagef("which pull request? This pipeline runs for none").WithHint("name it with --pr NUMBER")
		case o.Number < 1:
			return fault.Usagef("--pr %d: use the number of a pull request", o.Number)
		}
		return runner(f, runF, runPreviewCreate)(ctx, o)
	})
	cmd.Use, cmd.GroupID = "create [DIR]", ""
	cmd.Short = "Deploy a preview of a pull request, without traffic, at a URL of its own"
	cmd.Long = `Deploy the function in DIR (default: here), or --image, as a preview: a revision that
gets no traffic and is reached at the URL of its tag, pr-N. It prints that URL. The
next one of the same pull request takes its place. Its time is noted on the service;
preview gc removes it when that is over, or when it is named.

All flags of deploy that say how to build and what the revision is to be work here.
In a pipeline of GitHub or GitLab for a pull or merge request --pr is known.`
	cmd.Example = `  kn-lite preview create --pr 7
  kn-lite preview create -s hello --image registry.example/team/hello:pr-7 --pr 7 --ttl 12h
  kn-lite preview create --pr 7 -o jsonpath={.url}`
	flags := cmd.Flags()
	for _, flag := range decidedByPreview() {
		// The flags are deploy's, so errors here cannot happen.
		_ = flags.MarkHidden(flag)
	}
	flags.IntVar(&o.Number, "pr", 0, "`NUMBER` of the pull request (default: the one that the pipeline runs for)")
	flags.StringVar(&lifetime, "ttl", "7d", "remove it after this `TIME`, e.g. 12h or 7d, when preview gc runs")
	return cmd
}

func runPreviewCreate(ctx context.Context, f *Factory, o *previewCreateOptions) error {
	request, err := o.request()
	if err != nil {
		return err
	}
	request.Namespace, request.Timeout, request.NoCluster = f.Flags.Namespace, f.Flags.Timeout, offerLocal(f)
	made, err := f.App().CreatePreview(ctx, app.PreviewRequest{Deploy: request, Number: o.Number, Lifetime: o.Lifetime})
	if err != nil {
		return err
	}
	f.IO.Note("%s is a preview until %s", made.Revision, made.Expires.Format(time.RFC3339))
	return f.print(answer{
		Object: previewAnswer{
			APIVersion: apiVersion, Kind: "Preview", Outcome: string(made.Outcome), Service: made.Service, Namespace: made.Namespace,
			PR: made.Number, Tag: made.Tag, URL: made.TagURL, ServiceURL: made.URL, Revision: made.Revision, Image: made.Image, Expires: made.Expires,
		},
		Names: []string{made.Tag},
		Table: func() error { return f.IO.Answer("%s", made.TagURL) },
	})
}
