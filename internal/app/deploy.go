package app

import (
	"cmp"
	"context"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// DryRun says how much of a deploy only seems to happen.
type DryRun int

// The kinds of dry runs. Images are built by both and pushed by none.
const (
	DryRunNone   DryRun = iota // none: it is a deploy
	DryRunClient               // no cluster is asked: the service that a first deploy would create
	DryRunServer               // the API server checks it and returns what it would store
	DryRunPlan                 // like DryRunServer, but who may only read gets an answer too, without that check
)

// DeployRequest says what is to be live.
type DeployRequest struct {
	// Spec is what is asked for besides what func.yaml says. Service "" is func.yaml's;
	// Image is any reference, "" builds Dir; UserImage and Project are filled in.
	Spec      deploy.Spec
	Dir       string // "" is the working folder; with an Image it need not have a func.yaml
	Namespace string // "" is func.yaml's, or the settings'
	Build     BuildOptions
	Signed    SignedPolicy

	NoWait  bool          // do not wait until the revision is ready; Knative moves the traffic
	Timeout time.Duration // bounds the wait, not the build; 0 is deploy's own
	DryRun  DryRun
	// NoCluster is called when no cluster is configured anywhere, and reports whether
	// there is one now. It may be nil.
	NoCluster func(context.Context) (bool, error)
}

// DeployResult is what a deploy has led to.
type DeployResult struct {
	*deploy.Result // nil on a dry run
	Namespace      string
	Service        string
	Manifest       map[string]any // on a dry run: the service as it would stand in a file
	Foreseen       *deploy.Result // on a dry run that the API server has checked
}

// Deploy takes an image, or the function in a folder, live: it builds and pushes it,
// creates the service or a revision of it, waits until that is ready, moves the
// traffic, and waits until the ingress has it. See deploy.Run for what its errors
// mean and leave behind.
func (a *App) Deploy(ctx context.Context, r DeployRequest) (*DeployResult, error) {
	d := &deployment{App: a, r: r, spec: r.Spec}
	if err := d.prepare(); err != nil {
		return nil, err
	}
	if r.DryRun == DryRunClient {
		return d.preview(ctx)
	}
	var err error
	if d.client, err = d.cluster(ctx); err != nil {
		return nil, err
	}
	// Whatever is wrong with the cluster is better known before the build.
	var blind []string
	if r.DryRun == DryRunPlan {
		d.unchecked, err = a.checkPlan(ctx, d.client, d.spec)
	} else {
		blind, err = a.checkCluster(ctx, d.client, d.spec, &r)
	}
	if err != nil {
		return nil, err
	}
	if err := d.image(ctx); err != nil {
		return nil, err
	}
	result, err := deploy.Run(ctx, d.client, d.spec, deploy.Options{
		NoWait: r.NoWait, DryRun: r.DryRun != DryRunNone, Unchecked: d.unchecked, Hidden: localVariables(d.project),
		Timeout: r.Timeout, Blind: blind, Now: a.Now, Report: a.report(),
	})
	if err != nil {
		return nil, err
	}
	out := &DeployResult{Namespace: d.client.Namespace(), Service: d.spec.Service}
	if r.DryRun != DryRunNone {
		out.Manifest, out.Foreseen = deploy.Manifest(result.Service), result
		return out, nil
	}
	out.Result = result
	if !result.Ready || result.URL == "" || result.Outcome == deploy.Unchanged {
		return out, nil
	}
	return out, a.awaitIngress(ctx, d.client, ingressWait{service: d.spec.Service, hosts: []string{result.URL, result.TagURL}, moved: result.Moves})
}

// deployment is one Deploy.
type deployment struct {
	*App
	r         DeployRequest
	spec      deploy.Spec
	project   *function.Function // nil: func.yaml has nothing to say
	namespace string
	wanted    *sign.PublicKey // that has to have signed the image; nil: nobody has to
	client    *cluster.Client // nil: no cluster is asked
	unchecked bool            // the API server cannot be asked whether it would take the service
}

// prepare finds everything that can be wrong with the request without asking anybody.
func (d *deployment) prepare() error {
	var err error
	if d.wanted, err = d.RequiredKey(d.r.Signed); err != nil {
		return err
	}
	if d.project, err = d.deployProject(d.r.Dir, d.spec); err != nil {
		return err
	}
	if d.spec.Service, err = serviceOf(d.spec.Service, d.project); err != nil {
		return err
	}
	if err := deploy.CheckNames(d.spec.Service, d.spec.Revision, d.spec.Tag); err != nil {
		return err
	}
	if d.project != nil {
		if d.spec.Project, err = d.projectSpec(d.project); err != nil {
			return err
		}
	}
	d.namespace, err = d.Namespace(d.r.Namespace, d.project)
	return err
}

// deployProject returns the func.yaml in dir. With an image and a service there
// need not be one.
func (a *App) deployProject(dir string, spec deploy.Spec) (*function.Function, error) {
	if spec.Image == "" {
		return a.Project(dir)
	}
	project, err := function.Load(cmp.Or(dir, "."))
	switch {
	case fault.KindOf(err) == fault.NotFound && cmp.Or(dir, ".") == ".":
		return nil, nil
	case err != nil:
		return nil, err
	case spec.Service != "" && spec.Service != project.Name:
		// The image of another service: this folder has nothing to say to it.
		return nil, nil
	}
	for _, w := range project.Warnings {
		a.report().Warn(w.String())
	}
	return project, nil
}

// serviceOf returns the service that was named, else func.yaml's.
func serviceOf(named string, project *function.Function) (string, error) {
	switch {
	case named != "":
		return named, function.CheckName(named)
	case project != nil:
		return project.Name, nil
	}
	return "", fault.New(fault.Usage, "app.service", "", "which service? there is no %s here to tell", function.File)
}

// cluster returns the cluster to deploy to.
func (d *deployment) cluster(ctx context.Context) (*cluster.Client, error) {
	client, err := d.Cluster(d.namespace)
	if fault.KindOf(err) != fault.NotFound || d.r.NoCluster == nil {
		return client, err
	}
	if there, askErr := d.r.NoCluster(ctx); askErr != nil {
		return nil, askErr
	} else if !there {
		return nil, err
	}
	return d.Cluster(d.namespace)
}

// image fills in the image by digest, and what the user calls it: the one that was
// named, else the one that is built and pushed now.
func (d *deployment) image(ctx context.Context) error {
	unpushed := d.r.DryRun != DryRunNone && d.spec.Image == ""
	switch {
	case d.spec.Image == "":
		options := d.r.Build
		if d.wanted != nil {
			options.Trusted = append(options.Trusted, d.wanted)
		}
		built, err := d.Build(ctx, BuildRequest{
			BuildOptions: options, Dir: d.r.Dir, Project: d.project, Namespace: d.r.Namespace, Push: !unpushed, Discard: unpushed,
		})
		if err != nil {
			return err
		}
		d.spec.Image, d.spec.UserImage = built.Image, built.Tag
	case d.client == nil:
		d.spec.UserImage = d.spec.Image
		if _, err := registry.Parse(d.spec.Image); err != nil {
			return err
		}
	default:
		// A tag is pinned to what it means now, so that what runs tomorrow is what was
		// deployed today.
		images, err := d.Registry()
		if err != nil {
			return err
		}
		d.spec.UserImage = d.spec.Image
		if d.spec.Image, err = images.Digest(ctx, d.spec.Image); err != nil {
			return err
		}
		d.checkArchitecture(ctx, d.spec.Image, d.client)
	}
	return d.CheckSigned(ctx, d.spec.Image, d.wanted, unpushed, d.r.Build.SignKey)
}

// preview returns the service that a first deploy would create.
func (d *deployment) preview(ctx context.Context) (*DeployResult, error) {
	if err := d.image(ctx); err != nil {
		return nil, err
	}
	svc, err := deploy.Preview(d.spec, d.namespace)
	if err != nil {
		return nil, err
	}
	return &DeployResult{Namespace: d.namespace, Service: d.spec.Service, Manifest: deploy.Manifest(svc)}, nil
}

// AbortRequest says which deploy is given up.
type AbortRequest struct {
	Service   string // "" is func.yaml's in Dir
	Dir       string // "" is the working folder
	Namespace string // "" is func.yaml's, or the settings'
}

// AbortResult is what Abort has done.
type AbortResult struct {
	*deploy.Aborted
	Service string
}

// Abort undoes a deploy that was interrupted while it waited. It is NotFound when
// there is none under way.
func (a *App) Abort(ctx context.Context, r AbortRequest) (*AbortResult, error) {
	var project *function.Function
	var err error
	if r.Service == "" {
		if project, err = a.Project(r.Dir); err != nil {
			return nil, err
		}
	}
	service, err := serviceOf(r.Service, project)
	if err != nil {
		return nil, err
	}
	namespace, err := a.Namespace(r.Namespace, project)
	if err != nil {
		return nil, err
	}
	client, err := a.Cluster(namespace)
	if err != nil {
		return nil, err
	}
	done, err := deploy.Abort(ctx, client, service, a.report())
	if err != nil {
		return nil, err
	}
	return &AbortResult{Aborted: done, Service: service}, nil
}
