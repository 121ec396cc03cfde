package parts

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
	"github.com/kn-lite/kn-lite/devcluster/internal/images"
)

// Push uploads every image of set to registry ("host:port", plain HTTP on
// loopback) and returns name → "host:port/name@sha256:…". Blobs that are there
// already are not sent again; each image is also tagged "latest".
func Push(ctx context.Context, set Set, registry string) (map[string]string, error) {
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		refs  = make(map[string]string, len(set.Images))
		errs  []error
	)
	slots := make(chan struct{}, 3) // each holds an image's layers in memory
	for _, img := range set.Images {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ref, err := push(ctx, img, registry)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			refs[img.Name] = ref
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return refs, nil
}

func push(ctx context.Context, img Image, registry string) (string, error) {
	failed := func(err error) error {
		return &fault.Error{Op: "push image", Subject: registry + "/" + img.Name, Err: err}
	}
	tag, err := name.NewTag(fmt.Sprintf("%s/%s:latest", registry, img.Name), name.Insecure)
	if err != nil {
		return "", failed(err)
	}
	content, err := images.Load(img.Layout)
	if err != nil {
		return "", failed(err)
	}
	if err := remote.Write(tag, content, remote.WithContext(ctx)); err != nil {
		return "", failed(err)
	}
	return tag.Context().Digest(img.Digest).String(), nil
}
