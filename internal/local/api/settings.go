package api

import (
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/config"
	autoscalerconfig "knative.dev/serving/pkg/autoscaler/config"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// settingsNamespace is where Knative has its settings: on the platform they are
// Knative's defaults, but for one, until somebody puts a config map there.
const settingsNamespace = "knative-serving"

// settings are Knative's, so far as defaults and rules depend on them.
type settings struct {
	store *store.Store

	mu      sync.Mutex
	version string // of the config maps that current was read from
	current *config.Config
}

// read returns what the config maps say now. One that cannot be read counts as
// none: it was refused when it was written, and no service is to suffer from it.
func (s *settings) read() *config.Config {
	found, version := map[string]*corev1.ConfigMap{}, ""
	for _, name := range []string{config.DefaultsConfigName, config.FeaturesConfigName, autoscalerconfig.ConfigName} {
		if m, ok := store.Get[*corev1.ConfigMap](s.store, settingsNamespace, name); ok {
			found[name] = m
			version += name + m.ResourceVersion
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.version == version {
		return s.current
	}
	next := &config.Config{}
	next.Autoscaler, _ = autoscalerconfig.NewConfigFromMap(autoscalerDefaults())
	if m := found[config.DefaultsConfigName]; m != nil {
		next.Defaults, _ = config.NewDefaultsConfigFromConfigMap(m)
	}
	if m := found[config.FeaturesConfigName]; m != nil {
		next.Features, _ = config.NewFeaturesConfigFromConfigMap(m)
	}
	if m := found[autoscalerconfig.ConfigName]; m != nil {
		data := autoscalerDefaults()
		maps.Copy(data, m.Data)
		if read, err := autoscalerconfig.NewConfigFromMap(data); err == nil {
			next.Autoscaler = read
		}
	}
	s.current, s.version = next, version
	return next
}

// autoscalerDefaults: a revision may begin without an instance, which the first
// request starts in no time here.
func autoscalerDefaults() map[string]string {
	return map[string]string{"allow-zero-initial-scale": "true"}
}

// checkSettings is what Knative's webhook for its own config maps says.
func checkSettings(object store.Object) error {
	m, ok := object.(*corev1.ConfigMap)
	if !ok || m.Namespace != settingsNamespace {
		return nil
	}
	var err error
	switch m.Name {
	case config.DefaultsConfigName:
		_, err = config.NewDefaultsConfigFromConfigMap(m)
	case config.FeaturesConfigName:
		_, err = config.NewFeaturesConfigFromConfigMap(m)
	case autoscalerconfig.ConfigName:
		_, err = autoscalerconfig.NewConfigFromConfigMap(m)
	}
	if err != nil {
		return badRequest("admission webhook %q denied the request: validation failed: %v", "config.webhook.serving.knative.dev", err)
	}
	return nil
}
