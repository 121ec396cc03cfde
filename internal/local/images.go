package local

import (
	"context"
	"strings"
	"time"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/registry/server"
)

const (
	// collectEvery is how often the registry is looked through.
	collectEvery = time.Hour
	// imageLife is how long an image stays that no revision uses.
	imageLife = 24 * time.Hour
)

// unpackedImages are those that containers run on.
type unpackedImages interface {
	Collect(ctx context.Context, used func(digest string) bool) error
}

// collectImages removes what no revision uses from the registry, and from what was
// unpacked of it, until ctx ends.
func collectImages(ctx context.Context, s *store.Store, images *server.Registry, unpacked unpackedImages, debug func(string)) error {
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			used := usedImages(s)
			if err := images.Collect(ctx, imageLife, func(digest string) bool { return used[digest] }); err != nil {
				debug("images that nobody uses: " + err.Error())
			}
			if err := unpacked.Collect(ctx, func(digest string) bool { return used[digest] }); err != nil {
				debug("unpacked images that nobody uses: " + err.Error())
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// usedImages are the digests of all revisions' images.
func usedImages(s *store.Store) map[string]bool {
	used := map[string]bool{}
	note := func(ref string) {
		if _, digest, ok := strings.Cut(ref, "@"); ok {
			used[digest] = true
		}
	}
	for _, rev := range store.List[*servingv1.Revision](s, "") {
		for _, c := range append(rev.Spec.InitContainers, rev.Spec.Containers...) {
			note(c.Image)
		}
		for _, c := range append(rev.Status.InitContainerStatuses, rev.Status.ContainerStatuses...) {
			note(c.ImageDigest)
		}
	}
	return used
}
