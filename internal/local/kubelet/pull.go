package kubelet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Presence is what a runtime may know besides: whether an image is ready to run
// without asking a registry.
type Presence interface {
	Present(ref string) bool
}

const (
	errImagePull  = "ErrImagePull"
	pullBackOff   = "ImagePullBackOff"
	neverPull     = "ErrImageNeverPull"
	pullRetryShow = 2 * time.Second // how long a failed pull is shown before the waiting is
)

// pull makes the image ready, however long that takes; false says that the pod is
// to end.
func (c *container) pull() (Image, bool) {
	for delay := newBackoff(); ; {
		image, err := c.pullOnce()
		if err == nil {
			return image, c.w.round.Err() == nil
		}
		if c.w.round.Err() != nil || !c.pullFailed(err, delay.Next()) {
			return Image{}, false
		}
	}
}

func (c *container) pullOnce() (Image, error) {
	ref, p := c.spec.Image, c.w.current()
	known, _ := c.w.k.o.Runtime.(Presence)
	present := known != nil && known.Present(ref)
	policy := pullPolicy(c.spec)
	if policy == corev1.PullNever && known != nil && !present {
		return Image{}, fmt.Errorf("container image %q is not present with pull policy of Never", ref)
	}
	asks := !present || policy == corev1.PullAlways
	if asks {
		c.event(corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", ref))
	}
	begun := time.Now()
	image, err := c.w.k.o.Runtime.Pull(c.w.round, ref, pullSecrets(c.w.k.o.Store, p))
	switch took := time.Since(begun).Truncate(time.Millisecond); {
	case err != nil:
		return Image{}, err
	case asks:
		c.event(corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Successfully pulled image %q in %s (%s including waiting).", ref, took, took))
	default:
		c.event(corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine", ref))
	}
	return image, nil
}

// pullFailed says so as a cluster does, and waits; false says that the pod is to end.
func (c *container) pullFailed(err error, delay time.Duration) bool {
	ref, reason := c.spec.Image, errImagePull
	message := err.Error()
	if pullPolicy(c.spec) == corev1.PullNever {
		reason = neverPull
	}
	if reason == errImagePull {
		c.event(corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %s", ref, message))
	} else {
		c.event(corev1.EventTypeWarning, reason, message)
	}
	c.event(corev1.EventTypeWarning, "Failed", "Error: "+reason)
	c.wait(reason, message)
	if reason != errImagePull {
		return c.w.pause(delay)
	}
	if !c.w.pause(pullRetryShow) {
		return false
	}
	text := fmt.Sprintf("Back-off pulling image %q", ref)
	c.event(corev1.EventTypeNormal, "BackOff", text)
	c.event(corev1.EventTypeWarning, "Failed", "Error: "+pullBackOff)
	c.wait(pullBackOff, fmt.Sprintf("%s: %s: %s", text, errImagePull, message))
	return c.w.pause(delay - pullRetryShow)
}

// pullPolicy is what the container says, or what Kubernetes takes it to mean.
func pullPolicy(c *corev1.Container) corev1.PullPolicy {
	name := c.Image[strings.LastIndexByte(c.Image, '/')+1:]
	switch {
	case c.ImagePullPolicy != "":
		return c.ImagePullPolicy
	case strings.Contains(name, "@"):
		return corev1.PullIfNotPresent
	case !strings.Contains(name, ":"), strings.HasSuffix(name, ":latest"):
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// pullSecrets are those of the pod and of its service account; ones that are not
// there, or of another type, are passed over, as a cluster does.
func pullSecrets(s *store.Store, p *corev1.Pod) [][]byte {
	names := slices.Clone(p.Spec.ImagePullSecrets)
	if account, ok := store.Get[*corev1.ServiceAccount](s, p.Namespace, accountOf(p)); ok {
		names = append(names, account.ImagePullSecrets...)
	}
	var out [][]byte
	for i, name := range names {
		if slices.Index(names, name) < i {
			continue
		}
		secret, ok := store.Get[*corev1.Secret](s, p.Namespace, name.Name)
		if !ok {
			continue
		}
		if config := dockerConfig(secret); config != nil {
			out = append(out, config)
		}
	}
	return out
}

// dockerConfig is a pull secret in its present form, whichever it has.
func dockerConfig(secret *corev1.Secret) []byte {
	if config, ok := secret.Data[corev1.DockerConfigJsonKey]; ok {
		return config
	}
	old, ok := secret.Data[corev1.DockerConfigKey]
	if !ok || !json.Valid(old) {
		return nil
	}
	return slices.Concat([]byte(`{"auths":`), old, []byte(`}`))
}

func accountOf(p *corev1.Pod) string {
	if p.Spec.ServiceAccountName != "" {
		return p.Spec.ServiceAccountName
	}
	return "default"
}
