package api

import (
	"context"

	"knative.dev/serving/pkg/apis/config"
)

// withSettings has Knative's rules know the settings of this platform, which are
// its defaults but for one: a revision may begin without an instance
// (allow-zero-initial-scale). The first request starts one in no time here.
func withSettings(ctx context.Context) context.Context {
	settings := *config.FromContextOrDefaults(ctx)
	autoscaler := *settings.Autoscaler
	autoscaler.AllowZeroInitialScale = true
	settings.Autoscaler = &autoscaler
	return config.ToContext(ctx, &settings)
}
