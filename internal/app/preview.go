package app

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/preview"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// PreviewRequest asks for a preview of a function.
type PreviewRequest struct {
	Deploy   DeployRequest // its tag and traffic are filled in
	Number   int           // of the pull request
	Lifetime time.Duration
}

// PreviewResult is a preview that is ready.
type PreviewResult struct {
	*DeployResult
	Number  int
	Tag     string
	Expires time.Time
}

// CreatePreview deploys a function without traffic under the tag of a pull request,
// and notes on the service until when it is needed. Another one of the same number
// takes the place of the former.
func (a *App) CreatePreview(ctx context.Context, r PreviewRequest) (*PreviewResult, error) {
	tag := preview.Tag(r.Number)
	r.Deploy.Spec.Tag, r.Deploy.Spec.Traffic, r.Deploy.Spec.Aside = tag, traffic.Shift{Keep: true}, true
	if err := a.requireService(ctx, r.Deploy); err != nil {
		return nil, err
	}
	deployed, err := a.Deploy(ctx, r.Deploy)
	if err != nil {
		return nil, err
	}
	client, err := a.Cluster(deployed.Namespace)
	if err != nil {
		return nil, err
	}
	now := a.Now()
	_, err = a.annotatePreviews(ctx, client, deployed.Service, func(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
		return traffic.Change{}.Annotate(preview.Key, preview.Extend(snap.Annotations[preview.Key], known.Split, r.Number, now, r.Lifetime)), nil
	}, false)
	if err != nil {
		return nil, &fault.Error{
			Op: "preview.note", Kind: fault.Partial, Subject: "service/" + deployed.Service, Err: err,
			Hint: strings.TrimSpace(fault.HintOf(err) + "\n" + tag + " is deployed, and when it ends could not be noted; run the same command again"),
		}
	}
	return &PreviewResult{DeployResult: deployed, Number: r.Number, Tag: tag, Expires: now.UTC().Truncate(time.Second).Add(r.Lifetime)}, nil
}

// requireService refuses a preview of a service that is not there: its first revision
// would get all of the traffic.
func (a *App) requireService(ctx context.Context, r DeployRequest) error {
	service := r.Spec.Service
	var project *function.Function
	if service == "" {
		var err error
		if project, err = function.Load(cmp.Or(r.Dir, ".")); err != nil {
			return err
		}
		service = project.Name
	}
	namespace, err := a.Namespace(r.Namespace, project)
	if err != nil {
		return err
	}
	client, err := a.Cluster(namespace)
	if err != nil {
		return err
	}
	svc, err := client.FindService(ctx, service)
	if err != nil || svc != nil {
		return err
	}
	return fault.New(fault.NotFound, "preview.create", "service/"+service, "not found in namespace %s", client.Namespace()).
		WithHint("a preview stands beside a service that serves: deploy that first, with `kn-lite deploy`")
}

// annotatePreviews writes what plan says, again when the split was changed meanwhile: tags of
// others do not matter here.
func (a *App) annotatePreviews(ctx context.Context, client *cluster.Client, service string, plan traffic.Plan, dryRun bool) (traffic.Result, error) {
	const attempts = 20
	for n := 1; ; n++ {
		result, err := traffic.Update(ctx, client.Traffic(), service, plan, traffic.Options{DryRun: dryRun, Now: a.Now()})
		if _, moved := errors.AsType[*traffic.MovedError](err); !moved || n == attempts || ctx.Err() != nil {
			return result, err
		}
	}
}

// Previews are those of a service.
type Previews struct {
	*traffic.Snapshot
	All []preview.Preview
}

// ListPreviews returns the previews of a service.
func (a *App) ListPreviews(ctx context.Context, t Target) (*Previews, error) {
	snap, err := a.snapshot(ctx, t)
	if err != nil {
		return nil, err
	}
	return &Previews{snap, preview.List(snap)}, nil
}

// CollectPreviewsRequest asks for the end of previews.
type CollectPreviewsRequest struct {
	Target
	Numbers   []int // besides those whose time is over
	DryRun    bool
	NoWait    bool
	Revisions bool // delete their revisions, too, where nothing else uses them
}

// CollectedPreviews is what CollectPreviews has done.
type CollectedPreviews struct {
	Namespace, Service string
	Gone               []preview.Preview
	Unknown            []int    // numbers that name no preview
	Revisions          []string // that were deleted with them
}

// CollectPreviews removes the tags of previews that are named or whose time is over. The
// shares stay as they are. A number that names none is no error: a pull request may be closed
// that never had one.
func (a *App) CollectPreviews(ctx context.Context, r CollectPreviewsRequest) (*CollectedPreviews, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	out := &CollectedPreviews{Namespace: client.Namespace(), Service: r.Service}
	result, err := a.annotatePreviews(ctx, client, r.Service, func(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
		out.Gone, out.Unknown = preview.Select(preview.List(snap), r.Numbers, a.Now())
		if len(out.Gone) == 0 {
			return traffic.Change{}, nil
		}
		var tags []string
		for _, p := range out.Gone {
			tags = append(tags, p.Tag)
		}
		next, err := traffic.RemoveTags(known.Split, tags)
		if err != nil {
			return traffic.Change{}, err
		}
		change := traffic.Change{Split: next}
		if left := preview.Without(snap.Annotations[preview.Key], next); left != "" {
			return change.Annotate(preview.Key, left), nil
		}
		return change.Remove(preview.Key), nil
	}, r.DryRun)
	if err != nil || r.DryRun || result.After == nil {
		return out, err
	}
	if !r.NoWait {
		if _, err := a.awaitRoute(ctx, client.Traffic(), result.After); err != nil {
			return out, err
		}
	}
	if r.Revisions {
		err = a.removePreviewRevisions(ctx, client, out)
	}
	return out, err
}

// removePreviewRevisions deletes the revisions of previews that are gone, but for those that
// something else uses.
func (a *App) removePreviewRevisions(ctx context.Context, client *cluster.Client, out *CollectedPreviews) error {
	s, err := readRevisions(ctx, client, out.Service)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range out.Gone {
		name := p.Target.Revision
		if s.find(name) == nil || len(s.uses.Uses(name)) > 0 {
			continue
		}
		if err := a.removeRevision(ctx, client, out.Service, name); err != nil {
			failed = append(failed, err)
			continue
		}
		out.Revisions = append(out.Revisions, name)
	}
	return joinFaults("preview.revisions", failed)
}
