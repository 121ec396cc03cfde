package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Target names a service.
type Target struct {
	Namespace string // "" is the kubeconfig context's own
	Service   string
}

// ListRequest asks for the services of a namespace.
type ListRequest struct {
	Namespace     string // "" is the kubeconfig context's own
	AllNamespaces bool
}

// ListResult is what List returns.
type ListResult struct {
	Namespace string              // that was looked into, also with AllNamespaces
	Services  []*traffic.Snapshot // by namespace and name
}

// List returns the services of a namespace. One that does not exist is NotFound.
func (a *App) List(ctx context.Context, r ListRequest) (*ListResult, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	services, err := client.ListServices(ctx, r.AllNamespaces)
	if err == nil && len(services) == 0 && !r.AllNamespaces {
		// A list of a namespace that does not exist is empty, too.
		err = client.CheckNamespace(ctx)
	}
	if err != nil {
		return nil, err
	}
	out := &ListResult{Namespace: client.Namespace(), Services: make([]*traffic.Snapshot, len(services))}
	for i := range services {
		out.Services[i] = knative.Snapshot(&services[i])
	}
	slices.SortFunc(out.Services, func(a, b *traffic.Snapshot) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// Describe returns a service with its revisions and domains.
func (a *App) Describe(ctx context.Context, t Target) (*cluster.View, error) {
	client, err := a.Cluster(t.Namespace)
	if err != nil {
		return nil, err
	}
	return client.Describe(ctx, t.Service)
}

// DeleteRequest asks for the end of services.
type DeleteRequest struct {
	Namespace string // "" is the kubeconfig context's own
	Services  []string
	NoWait    bool // do not wait until their pods are gone
	// Confirm is called once all of the services are known to exist. The first one
	// is deleted only if it returns true. nil: nobody is asked.
	Confirm func(namespace string, services []string) (bool, error)
}

// DeleteResult is what Delete returns, also beside an error.
type DeleteResult struct{ Deleted []string }

// Delete deletes services with all their revisions. None is deleted unless all
// exist: a typing error in the third name must not cost the first two. A service
// that cannot be deleted does not hold up the others.
func (a *App) Delete(ctx context.Context, r DeleteRequest) (DeleteResult, error) {
	var out DeleteResult
	names := slices.Compact(slices.Sorted(slices.Values(r.Services)))
	for _, service := range names {
		if err := function.CheckName(service); err != nil {
			return out, err
		}
	}
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return out, err
	}
	for _, service := range names {
		if _, err := client.GetService(ctx, service); err != nil {
			return out, err
		}
	}
	if r.Confirm != nil {
		sure, err := r.Confirm(client.Namespace(), names)
		if err != nil {
			return out, err
		}
		if !sure {
			return out, fault.New(fault.Failure, "delete", "", "nothing was deleted")
		}
	}
	var failed []error
	for _, service := range names {
		if err := a.deleteOne(ctx, client, service, r.NoWait); err != nil {
			failed = append(failed, err)
			continue
		}
		out.Deleted = append(out.Deleted, service)
	}
	return out, joinFaults("delete", failed)
}

func (a *App) deleteOne(ctx context.Context, client *cluster.Client, service string, noWait bool) error {
	if err := client.DeleteService(ctx, service, !noWait); err != nil {
		return err
	}
	if noWait {
		a.report().Step("deleting " + service)
		return nil
	}
	task := a.report().Start("deleting "+service, 0)
	err := client.WaitGone(ctx, service, func(pods int) { task.Update(fmt.Sprintf("deleting %s: %d pods left", service, pods)) })
	progress.End(task, "deleted "+service, err)
	if err == nil || ctx.Err() == nil {
		return err
	}
	return (&fault.Error{Op: "delete", Kind: fault.KindOf(err), Subject: "service/" + service, Err: err}).
		WithHint("the cluster goes on deleting it; `kn-lite describe %s` tells when it is gone", service)
}

// joinFaults returns a single error as it is, with its kind and hint; of several
// the first one's kind decides the exit code.
func joinFaults(op string, all []error) error {
	if len(all) < 2 {
		return errors.Join(all...)
	}
	return &fault.Error{Op: op, Kind: fault.KindOf(all[0]), Err: errors.Join(all...), Hint: fault.HintOf(all[0])}
}

// ExportRequest asks for a service as a file.
type ExportRequest struct {
	Target
	Traffic bool // with its split, which names revisions
}

// Export returns a service as a file would ask for it: see deploy.Export.
func (a *App) Export(ctx context.Context, r ExportRequest) (map[string]any, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	svc, err := client.GetService(ctx, r.Service)
	if err != nil {
		return nil, err
	}
	return deploy.Export(svc, r.Traffic), nil
}
