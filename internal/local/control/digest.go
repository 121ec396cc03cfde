package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	// resolveTimeout is how long one image may take.
	resolveTimeout = 10 * time.Second
	// resolvers is how many revisions are resolved at once.
	resolvers = 8
	// firstResolveRetry and lastResolveRetry bound how long a failure stands until the
	// registry is asked again.
	firstResolveRetry = time.Second
	lastResolveRetry  = 5 * time.Minute
)

// resolveDigests writes the digests of a revision's images into its status. It does not
// wait: what goes over the network is done meanwhile, and wakes the revision. After a
// failure, after is when to come back.
func (c *Controller) resolveDigests(rev *servingv1.Revision) (resolved bool, after time.Duration, err error) {
	if len(rev.Status.ContainerStatuses)+len(rev.Status.InitContainerStatuses) == len(rev.Spec.Containers)+len(rev.Spec.InitContainers) {
		return true, 0, nil
	}
	found := map[string]string{}
	var unknown []string
	for _, container := range slices.Concat(rev.Spec.InitContainers, rev.Spec.Containers) {
		if c.Resolver == nil || strings.Contains(container.Image, "@sha256:") {
			found[container.Image] = container.Image
		} else {
			unknown = append(unknown, container.Image)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		digests, after, err := c.digests.resolve(rev, slices.Compact(unknown), pullSecrets(c.Store, rev.Namespace, &rev.Spec.PodSpec))
		if digests == nil || err != nil {
			return false, after, err
		}
		maps.Copy(found, digests)
	}
	rev.Status.ContainerStatuses = containerDigests(rev.Spec.Containers, found)
	rev.Status.InitContainerStatuses = containerDigests(rev.Spec.InitContainers, found)
	return true, 0, nil
}

func containerDigests(containers []corev1.Container, digests map[string]string) []servingv1.ContainerStatus {
	var out []servingv1.ContainerStatus
	for _, container := range containers {
		out = append(out, servingv1.ContainerStatus{Name: container.Name, ImageDigest: digests[container.Image]})
	}
	return out
}

// pullSecrets returns the docker configs that a pod's images are pulled with: those of
// the pod, and those of its service account.
func pullSecrets(s *store.Store, namespace string, spec *corev1.PodSpec) [][]byte {
	references := slices.Clone(spec.ImagePullSecrets)
	if sa, ok := store.Get[*corev1.ServiceAccount](s, namespace, accountOf(spec)); ok {
		references = append(references, sa.ImagePullSecrets...)
	}
	var out [][]byte
	for _, reference := range references {
		if secret, ok := store.Get[*corev1.Secret](s, namespace, reference.Name); ok {
			if config := secret.Data[corev1.DockerConfigJsonKey]; config != nil {
				out = append(out, config)
			}
		}
	}
	return out
}

// digests resolves images in the background, for a few revisions at once.
type digests struct {
	resolver Resolver
	wake     func(task)
	slots    chan struct{}

	mu      sync.Mutex
	ctx     context.Context
	group   sync.WaitGroup
	results map[types.UID]*resolution
}

// resolution is what has become of a revision's images.
type resolution struct {
	revision task
	running  bool
	images   map[string]string
	err      error // stands until retry
	failures int
	retry    time.Time
	outdated bool // a failure does not count
}

func newDigests(r Resolver, wake func(task)) *digests {
	return &digests{resolver: r, wake: wake, slots: make(chan struct{}, resolvers), results: map[types.UID]*resolution{}}
}

func (d *digests) start(ctx context.Context) { d.ctx = ctx }

func (d *digests) wait() { d.group.Wait() }

// resolve returns the images' digests, or nil while they are being found. A failure
// stands for a while, longer each time; after is how long still.
func (d *digests) resolve(rev *servingv1.Revision, images []string, secrets [][]byte) (found map[string]string, after time.Duration, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.results[rev.UID]
	if r == nil {
		r = &resolution{revision: task{doRevision, rev.Namespace, rev.Name}}
		d.results[rev.UID] = r
	}
	switch left := time.Until(r.retry); {
	case r.running:
		return nil, 0, nil
	case r.images != nil:
		delete(d.results, rev.UID)
		return r.images, 0, nil
	case r.err != nil && left > 0:
		return nil, left, r.err
	}
	r.running = true
	d.group.Go(func() { d.find(r, images, secrets) })
	// What failed last time goes on to be said until the registry has answered anew.
	return nil, 0, r.err
}

func (d *digests) find(r *resolution, images []string, secrets [][]byte) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-d.ctx.Done():
		return
	}
	found := map[string]string{}
	var failure error
	for _, image := range images {
		ctx, cancel := context.WithTimeout(d.ctx, resolveTimeout)
		digest, err := d.resolver.Resolve(ctx, image, secrets)
		cancel()
		if err != nil {
			failure = fmt.Errorf("%s: %w", servingv1.RevisionContainerMissingMessage(image, "failed to resolve image to digest"), err)
			break
		}
		found[image] = digest
	}
	d.settle(r, found, failure)
	d.wake(r.revision)
}

func (d *digests) settle(r *resolution, found map[string]string, failure error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	outdated := r.outdated
	r.running, r.outdated = false, false
	if failure == nil {
		r.images = found
		return
	}
	r.err = failure
	if outdated {
		return
	}
	r.retry = time.Now().Add(min(firstResolveRetry<<min(r.failures, 20), lastResolveRetry))
	r.failures++
}

// credentialsChanged has all that failed in a namespace tried again: the registry may take
// the new ones.
func (d *digests) credentialsChanged(namespace string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.results {
		switch {
		case r.revision.namespace != namespace:
		case r.running:
			r.outdated = true // what is being asked has the old ones
		case r.err != nil:
			r.retry = time.Time{}
			d.wake(r.revision)
		}
	}
}

// forget drops what is known of a revision that is gone.
func (d *digests) forget(uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.results, uid)
}
