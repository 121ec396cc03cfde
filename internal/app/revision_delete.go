package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/revision"
)

// DeletedRevision is a revision that was deleted, or would be.
type DeletedRevision struct {
	Name  string
	Image string // of the container that gets the requests
}

// RevisionsDeleted is what DeleteRevisions and CollectRevisions return, also beside an
// error.
type RevisionsDeleted struct {
	Namespace string
	Service   string
	Deleted   []DeletedRevision
	Left      []revision.Verdict // the others, with why they stay; of CollectRevisions only
	Images    []string           // that were deleted with them
}

// DeleteRevisionsRequest asks for the end of revisions by name.
type DeleteRevisionsRequest struct {
	Target           // Service "": the revisions say whose they are
	Refs    []string // as in traffic splits
	Images  bool     // delete their images, too
	Confirm func(service string, names []string) (bool, error)
}

// DeleteRevisions deletes revisions of one service. None is deleted unless all exist
// and none of them is in use.
func (a *App) DeleteRevisions(ctx context.Context, r DeleteRevisionsRequest) (*RevisionsDeleted, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	service, err := serviceOfRevision(ctx, client, r.Service, r.Refs[0])
	if err != nil {
		return nil, err
	}
	s, err := readRevisions(ctx, client, service)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, ref := range r.Refs {
		name, err := oneRevision(s.known, ref)
		if err != nil {
			return nil, err
		}
		if uses := s.uses.Uses(name); len(uses) > 0 {
			return nil, inUse(service, name, uses)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return a.removeRevisions(ctx, client, s, removal{names: names, images: r.Images, confirm: r.Confirm})
}

// inUse is the refusal to delete a revision, with what to do first.
func inUse(service, name string, uses []revision.Reason) error {
	var texts, hints []string
	for _, u := range uses {
		texts = append(texts, u.Text)
		switch u.Code {
		case revision.Routed:
			hints = append(hints, "move its traffic first: kn-lite traffic split -s "+service+" TARGET=100")
		case revision.Tagged:
			hints = append(hints, "remove the tag first: kn-lite traffic untag -s "+service+" "+u.Tag)
		case revision.LatestReady, revision.LatestCreated:
			hints = append(hints, "deploy another one first, or delete the whole service: kn-lite delete "+service)
		case revision.RollingOut:
			hints = append(hints, "wait for that rollout, or end it: kn-lite rollout abort "+service)
		case revision.Deploying:
			hints = append(hints, "wait for that deploy, or give it up: kn-lite deploy {Abort} -s "+service)
		case revision.Preserved, revision.Undo, revision.Newest, revision.Young:
		}
	}
	return fault.New(fault.Conflict, "revision.delete", "revision/"+name, "it is in use: %s", strings.Join(texts, ", ")).
		WithHint("nothing was deleted\n%s", strings.Join(slices.Compact(hints), "\n"))
}

// CollectRequest asks for the end of the revisions that nothing needs.
type CollectRequest struct {
	Target
	Keep        int           // the newest so many of those that nothing holds stay, too
	YoungerThan time.Duration // and those that are younger; 0: none
	DryRun      bool
	Images      bool // delete their images, too
	Confirm     func(service string, names []string) (bool, error)
}

// CollectRevisions deletes the revisions that are not in use and that the policy does
// not keep.
func (a *App) CollectRevisions(ctx context.Context, r CollectRequest) (*RevisionsDeleted, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	s, err := readRevisions(ctx, client, r.Service)
	if err != nil {
		return nil, err
	}
	var names []string
	var left []revision.Verdict
	for _, v := range revision.GC(s.uses, s.candidates(), revision.Policy{Keep: r.Keep, YoungerThan: r.YoungerThan, Now: a.Now()}) {
		if len(v.Reasons) > 0 {
			left = append(left, v)
			continue
		}
		names = append(names, v.Name)
	}
	out, err := a.removeRevisions(ctx, client, s, removal{names: names, images: r.Images, confirm: r.Confirm, dryRun: r.DryRun})
	if out != nil {
		out.Left = left
	}
	return out, err
}

// removal is what removeRevisions does.
type removal struct {
	names   []string
	images  bool
	dryRun  bool
	confirm func(service string, names []string) (bool, error) // nil: nobody is asked
}

// removeRevisions deletes revisions, each after one more look at whether it is still
// out of use: splits change while a person reads a question.
func (a *App) removeRevisions(ctx context.Context, client *cluster.Client, s *revisions, r removal) (*RevisionsDeleted, error) {
	out := &RevisionsDeleted{Namespace: client.Namespace(), Service: s.service.Name}
	var images []string
	for _, name := range r.names {
		images = append(images, imagesOf(s.find(name))...)
	}
	if r.dryRun || len(r.names) == 0 {
		for _, name := range r.names {
			out.Deleted = append(out.Deleted, deletedRevision(s, name))
		}
		if !r.dryRun || !r.images {
			return out, nil
		}
		var err error
		out.Images, err = a.unusedImages(ctx, client, images, r.names)
		return out, err
	}
	if r.confirm != nil {
		sure, err := r.confirm(s.service.Name, r.names)
		if err != nil {
			return out, err
		}
		if !sure {
			return out, fault.New(fault.Failure, "revision.delete", "", "nothing was deleted")
		}
	}
	var failed []error
	for _, name := range r.names {
		if err := a.removeRevision(ctx, client, s.service.Name, name); err != nil {
			failed = append(failed, err)
			continue
		}
		a.report().Step("deleted " + name)
		out.Deleted = append(out.Deleted, deletedRevision(s, name))
	}
	if !r.images || len(out.Deleted) == 0 {
		return out, joinFaults("revision.delete", failed)
	}
	images = nil
	for _, d := range out.Deleted {
		images = append(images, imagesOf(s.find(d.Name))...)
	}
	var err error
	if out.Images, err = a.deleteImages(ctx, client, images); err != nil {
		failed = append(failed, err)
	}
	return out, joinFaults("revision.delete", failed)
}

func (a *App) removeRevision(ctx context.Context, client *cluster.Client, service, name string) error {
	svc, err := client.GetService(ctx, service)
	if err != nil {
		return err
	}
	if uses := usesOf(svc).Uses(name); len(uses) > 0 {
		return fault.New(fault.Conflict, "revision.delete", "revision/"+name, "it is in use since a moment ago: it %s", uses[0].Text).
			WithHint("it stays")
	}
	return client.DeleteRevision(ctx, name)
}

func deletedRevision(s *revisions, name string) DeletedRevision {
	out := DeletedRevision{Name: name}
	for _, r := range s.known.Revisions {
		if r.Name == name {
			out.Image = r.Image
		}
	}
	return out
}
