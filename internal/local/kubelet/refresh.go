package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// renewal is the part of a token's life after which there is a new one, as on a cluster.
const renewal = 0.8

// heldToken is a token that a volume shows, until it is time for another.
type heldToken struct {
	value string
	renew time.Time
}

// tokenKey is what tokens of a pod differ in.
type tokenKey struct {
	audience string
	seconds  int64
}

// changedConfig has pods take over what has changed of the secrets and config maps that
// they show.
func (k *Kubelet) changedConfig(e store.Event) {
	switch e.Object.(type) {
	case *corev1.Secret, *corev1.ConfigMap:
	default:
		return
	}
	for _, w := range k.all() {
		if !w.refersTo(e) {
			continue
		}
		select {
		case w.refresh <- struct{}{}:
		default: // it is about to look
		}
	}
}

// keepVolumes takes over changes of what the pod's volumes show, and renews its tokens.
func (w *worker) keepVolumes() {
	for {
		timer := time.NewTimer(w.nextRenewal())
		select {
		case <-w.refresh:
		case <-timer.C:
		case <-w.round.Done():
			timer.Stop()
			return
		}
		timer.Stop()
		if err := w.makeVolumes(); err != nil && w.round.Err() == nil {
			// What there was stays, as on a cluster.
			w.event("", corev1.EventTypeWarning, "FailedMount", err.Error())
		}
	}
}

// nextRenewal is when the first of the pod's tokens is to be renewed.
func (w *worker) nextRenewal() time.Duration {
	const never = 24 * time.Hour
	next := never
	for _, t := range w.tokens {
		next = min(next, time.Until(t.renew))
	}
	return max(next, time.Second)
}

// showsConfig reports whether what the pod's volumes show may change while it runs.
func (w *worker) showsConfig() bool {
	for _, v := range w.current().Spec.Volumes {
		if v.EmptyDir == nil {
			return true
		}
	}
	return false
}
