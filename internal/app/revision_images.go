package app

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/registry"
)

// imagesOf returns the image of a revision's container that gets the requests, by
// digest; none where it is not known. Sidecars' images are others' products.
func imagesOf(rev *servingv1.Revision) []string {
	if rev == nil {
		return nil
	}
	image := knative.Revision(rev).Image
	if ref, err := registry.Parse(image); err != nil || ref.Digest == "" {
		return nil
	}
	return []string{image}
}

// deleteImages deletes those of the images that nothing refers to any longer, and
// returns them.
func (a *App) deleteImages(ctx context.Context, client *cluster.Client, images []string) ([]string, error) {
	unused, err := a.unusedImages(ctx, client, images, nil)
	if err != nil || len(unused) == 0 {
		return nil, err
	}
	access, err := a.Registry()
	if err != nil {
		return nil, err
	}
	var deleted []string
	var failed []error
	for _, image := range unused {
		err := access.Delete(ctx, image)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			a.report().Note(image + " is not in its registry any more")
		case err != nil:
			failed = append(failed, err)
		default:
			deleted = append(deleted, image)
			a.report().Step("deleted the image " + image)
		}
	}
	return deleted, joinFaults("revision.images", failed)
}

// unusedImages returns those of the images that no revision or service refers to, the
// revisions named in going aside, each once. Where only this namespace may be looked
// at, it says so.
func (a *App) unusedImages(ctx context.Context, client *cluster.Client, images, going []string) ([]string, error) {
	used, err := a.usedImages(ctx, client, going)
	if err != nil {
		return nil, err
	}
	digests := map[string]bool{}
	for _, image := range used {
		if ref, err := registry.Parse(image); err == nil && ref.Digest != "" {
			digests[ref.Digest] = true
		}
	}
	var out []string
	slices.Sort(images)
	for _, image := range slices.Compact(images) {
		ref, err := registry.Parse(image)
		if err != nil {
			continue
		}
		if digests[ref.Digest] {
			a.report().Note(image + " stays: another revision uses it")
			continue
		}
		listed, err := a.listedIn(ctx, ref, used)
		if err != nil {
			return nil, err
		}
		if listed != "" {
			a.report().Note(image + " stays: it is a part of " + listed)
			continue
		}
		out = append(out, image)
	}
	return out, nil
}

// listedIn returns an image in use of the same repository that lists ref as one of
// its platforms; "" when there is none.
func (a *App) listedIn(ctx context.Context, ref registry.Reference, used []string) (string, error) {
	access, err := a.Registry()
	if err != nil {
		return "", err
	}
	for _, image := range used {
		other, err := registry.Parse(image)
		if err != nil || other.Name() != ref.Name() || other.Digest == "" {
			continue
		}
		parts, err := access.Parts(ctx, image)
		switch {
		case fault.KindOf(err) == fault.NotFound:
		case err != nil:
			return "", err
		case slices.Contains(parts, ref.Digest):
			return image, nil
		}
	}
	return "", nil
}

// usedImages returns the images of all revisions but those in going, and of the
// templates of all services, each once, as far as this user may see them.
func (a *App) usedImages(ctx context.Context, client *cluster.Client, going []string) ([]string, error) {
	all, err := client.ListAllRevisions(ctx)
	if fault.KindOf(err) == fault.Auth {
		a.report().Note("not permitted to list the revisions of other namespaces: images that only they use count as unused")
		all, err = client.ListRevisions(ctx, "")
	}
	if err != nil {
		return nil, err
	}
	services, err := client.ListServices(ctx, true)
	if fault.KindOf(err) == fault.Auth {
		services, err = client.ListServices(ctx, false)
	}
	if err != nil {
		return nil, err
	}
	var used []string
	add := func(containers []corev1.Container) {
		for _, c := range containers {
			used = append(used, c.Image)
		}
	}
	for i := range all {
		rev := &all[i]
		if rev.Namespace == client.Namespace() && slices.Contains(going, rev.Name) {
			continue
		}
		add(slices.Concat(rev.Spec.InitContainers, rev.Spec.Containers))
		for _, s := range slices.Concat(rev.Status.InitContainerStatuses, rev.Status.ContainerStatuses) {
			used = append(used, s.ImageDigest)
		}
	}
	for i := range services {
		spec := services[i].Spec.Template.Spec
		add(slices.Concat(spec.InitContainers, spec.Containers))
	}
	slices.Sort(used)
	return slices.Compact(used), nil
}
