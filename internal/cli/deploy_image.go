package cli

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// deployImage is the image by digest, and what the user calls it: the one that
// --image names, else the one that is built and pushed now.
func (f *Factory) deployImage(ctx context.Context, o *deployOptions, project *function.Function, client *cluster.Client, wanted *sign.PublicKey) (ref, display string, err error) {
	if o.Image != "" {
		if ref, err = f.resolveImage(ctx, o.Image); err == nil {
			f.checkArchitecture(ctx, ref, client)
		}
		return ref, o.Image, err
	}
	options, err := o.options()
	if err != nil {
		return "", "", err
	}
	if wanted != nil {
		options.Trusted = []*sign.PublicKey{wanted}
	}
	built, err := f.App().Build(ctx, app.BuildRequest{
		BuildOptions: options, Dir: o.Dir, Project: project, Namespace: f.Flags.Namespace, Push: o.DryRun == "", Discard: o.DryRun != "",
	})
	if err != nil {
		return "", "", err
	}
	return built.Image, built.Tag, nil
}

// resolveImage pins a tag to what it means now, so that what runs tomorrow is
// what was deployed today.
func (f *Factory) resolveImage(ctx context.Context, image string) (string, error) {
	client, err := f.Registry()
	if err != nil {
		return "", err
	}
	return client.Digest(ctx, image)
}

// checkArchitecture warns of an image that no node can run. It is a warning
// only: not everyone may see the nodes, and there may be others tomorrow.
func (f *Factory) checkArchitecture(ctx context.Context, ref string, client *cluster.Client) {
	platforms, err := client.NodePlatforms(ctx)
	if err != nil || len(platforms) == 0 {
		return
	}
	images, err := f.Registry()
	if err != nil {
		return
	}
	if _, err := images.Head(ctx, ref); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			f.IO.Warn("%s is not in its registry, as seen from here", ref)
		}
		return
	}
	for _, p := range platforms {
		_, err := images.Pull(ctx, ref, v1.Platform{OS: p.OS, Architecture: p.Architecture})
		if err == nil || fault.KindOf(err) != fault.NotFound {
			return
		}
	}
	f.IO.Warn("%s has no variant for the cluster's nodes (%s/%s); it will not start there", ref, platforms[0].OS, platforms[0].Architecture)
}

// dryRunClient prints the service that a first deploy would create.
func (f *Factory) dryRunClient(ctx context.Context, o *deployOptions, spec deploy.Spec, project *function.Function, wanted *sign.PublicKey) error {
	var err error
	spec.Image, spec.UserImage = o.Image, o.Image
	if o.Image == "" {
		if spec.Image, spec.UserImage, err = f.deployImage(ctx, o, project, nil, wanted); err != nil {
			return err
		}
	} else if _, err := registry.Parse(o.Image); err != nil {
		return err
	}
	if err := f.App().CheckSigned(ctx, spec.Image, wanted, o.unpushed(), o.Attest.SignKey); err != nil {
		return err
	}
	namespace, err := f.namespace(project)
	if err != nil {
		return err
	}
	svc, err := deploy.Preview(spec, namespace)
	if err != nil {
		return err
	}
	return f.printService(spec.Service, deploy.Manifest(svc))
}

// printService prints an API object: as YAML for people, who paste it into
// files, and as whatever -o asks for.
func (f *Factory) printService(name string, manifest map[string]any) error {
	return f.print(answer{
		Object: manifest,
		Names:  []string{serviceResource + name},
		Table: func() error {
			text, err := render("yaml", "", manifest)
			if err != nil {
				return err
			}
			return f.IO.Exact(text)
		},
	})
}

type deployAnswer struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Outcome    string       `json:"outcome"` // created, updated, moved, unchanged
	Service    string       `json:"service"`
	Namespace  string       `json:"namespace"`
	Revision   string       `json:"revision"`
	Image      string       `json:"image"`
	URL        string       `json:"url,omitempty"`
	TagURL     string       `json:"tagURL,omitempty"`
	Ready      bool         `json:"ready"`
	Traffic    []targetInfo `json:"traffic"`
}

func (f *Factory) printDeploy(namespace string, spec deploy.Spec, r *deploy.Result) error {
	share := r.Split.Percent(r.Revision, r.Revision)
	switch {
	case r.Outcome == deploy.Unchanged:
		f.IO.Step("unchanged: %s has this content and these settings already (%d %% of the traffic)", r.Revision, share)
	case !r.Ready:
		f.IO.Note("not waiting: %s gets its traffic from Knative once it is ready", r.Revision)
	}
	if share == 0 && r.Ready {
		f.IO.Note("%s gets no traffic; `kn-lite traffic split %s=100` makes it live", r.Revision, shortRevision(spec.Service, r.Revision))
	}
	if r.TagURL != "" {
		f.IO.Note("%s is also at %s", r.Revision, r.TagURL)
	}
	return f.print(answer{
		Object: deployAnswer{
			APIVersion: apiVersion, Kind: "Deployment", Outcome: string(r.Outcome),
			Service: spec.Service, Namespace: namespace, Revision: r.Revision, Image: r.Image,
			URL: r.URL, TagURL: r.TagURL, Ready: r.Ready, Traffic: targetInfos(r.Split, r.Revision, nil),
		},
		Names: []string{serviceResource + spec.Service},
		Table: func() error {
			if r.URL == "" {
				return nil
			}
			return f.IO.Answer("%s", r.URL)
		},
	})
}
