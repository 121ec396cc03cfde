package autoscale

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/autoscaler/config"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// settingsKeys are those that Knative reads; it ignores every other one.
func settingsKeys() []string {
	return []string{
		"activator-capacity", "allow-zero-initial-scale", "container-concurrency-target-default",
		"container-concurrency-target-percentage", "enable-scale-to-zero", "initial-scale", "max-scale",
		"max-scale-down-rate", "max-scale-limit", "max-scale-up-rate", "min-scale", "panic-threshold-percentage",
		"panic-window-percentage", "pod-autoscaler-class", "requests-per-second-target-default", "scale-down-delay",
		"scale-to-zero-grace-period", "scale-to-zero-pod-retention-period", "stable-window", "target-burst-capacity",
	}
}

// Configure writes settings into the config map that a cluster has them in. Those
// that it does not name stay as they are.
//
// Errors: Usage for a key that Knative does not read, or a value that it refuses.
func Configure(s *store.Store, settings map[string]string) error {
	if len(settings) == 0 {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(settingsKeys(), key) {
			return fault.New(fault.Usage, "local.settings", key, "Knative's autoscaler has no such setting").
				WithHint("it has %s", strings.Join(settingsKeys(), ", "))
		}
	}
	stored, ok := store.Get[*corev1.ConfigMap](s, settingsNamespace, config.ConfigName)
	next := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: settingsNamespace, Name: config.ConfigName}}
	if ok {
		next = stored.DeepCopy()
	}
	if next.Data == nil {
		next.Data = map[string]string{}
	}
	maps.Copy(next.Data, settings)
	if _, err := readSettings(next.Data); err != nil {
		return fault.New(fault.Usage, "local.settings", config.ConfigName, "%w", err)
	}
	if err := storeSettings(s, next, ok); err != nil {
		return fault.New(fault.Failure, "local.settings", config.ConfigName, "%w", err)
	}
	return s.Flush()
}

func storeSettings(s *store.Store, next *corev1.ConfigMap, update bool) error {
	if update {
		_, err := s.Update(next)
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: settingsNamespace, Labels: map[string]string{corev1.LabelMetadataName: settingsNamespace}}}
	namespace.Status.Phase = corev1.NamespaceActive
	if _, err := s.Create(namespace); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	_, err := s.Create(next)
	return err
}
