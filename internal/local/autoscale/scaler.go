package autoscale

import (
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/apis/autoscaling"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/autoscaler/aggregation"
	"knative.dev/serving/pkg/autoscaler/config"
	"knative.dev/serving/pkg/autoscaler/config/autoscalerconfig"
	"knative.dev/serving/pkg/autoscaler/metrics"
	"knative.dev/serving/pkg/autoscaler/scaling"
)

// unknown is the scale of a revision that there are no figures of.
const unknown = -1

// scaler has the figures of one revision and Knative's decision on them.
type scaler struct {
	uni     scaling.UniScaler
	spec    scaling.DeciderSpec
	desired int32 // unknown until there are figures
	spare   int32 // burst capacity beyond what is wanted; negative: too little
	decided time.Time
	early   float64 // of the next figures, what Activate has recorded already
	ready   int

	// behind is since when requests would go through Knative's activator; zero
	// when they would not. A revision goes to zero only from behind it.
	behind time.Time

	concurrency, requests windows
}

// windows average one figure over the stable and the panic window.
type windows struct{ stable, panic window }

type window interface {
	Record(now time.Time, value float64)
	ResizeWindow(size time.Duration)
	WindowAverage(now time.Time) float64
	IsEmpty(now time.Time) bool
}

// scaler returns the one of a revision; it begins where there is none.
func (a *Autoscaler) scaler(at key, pa *autoscalingv1alpha1.PodAutoscaler) *scaler {
	spec := deciderSpec(pa, a.config)
	stable, panicking := stableWindow(pa, a.config), panicWindow(pa, a.config)
	s := a.scalers[at]
	if s == nil {
		s = &scaler{spec: spec, desired: unknown, ready: count(a.store, at).ready, spare: firstSpare(&spec)}
		if pa.Status.IsInactive() {
			s.desired = 0
		}
		algorithm := (&autoscalingv1alpha1.Metric{ObjectMeta: pa.ObjectMeta}).AggregationAlgorithm()
		fresh := func(size time.Duration) window {
			if algorithm == autoscaling.MetricAggregationAlgorithmWeightedExponential {
				return aggregation.NewWeightedFloat64Buckets(size, config.BucketSize)
			}
			return aggregation.NewTimedFloat64Buckets(size, config.BucketSize)
		}
		s.concurrency, s.requests = windows{fresh(stable), fresh(panicking)}, windows{fresh(stable), fresh(panicking)}
		s.uni = scaling.New(attribute.NewSet(), noop.NewMeterProvider(), at.namespace, at.name, s, s, &s.spec)
		a.scalers[at] = s
		return s
	}
	if s.spec != spec {
		s.spec = spec
		s.uni.Update(&spec)
	}
	for _, w := range []windows{s.concurrency, s.requests} {
		w.stable.ResizeWindow(stable)
		w.panic.ResizeWindow(panicking)
	}
	return s
}

func (s *scaler) record(now time.Time, concurrency, requests float64) {
	s.concurrency.record(now, max(concurrency-s.early, 0))
	s.requests.record(now, max(requests-s.early, 0))
	s.early = 0
}

func (w windows) record(now time.Time, value float64) {
	w.stable.Record(now, value)
	w.panic.Record(now, value)
}

func (w windows) averages(now time.Time) (stable, panicking float64, err error) {
	if w.stable.IsEmpty(now) {
		return 0, 0, metrics.ErrNoData
	}
	return w.stable.WindowAverage(now), w.panic.WindowAverage(now), nil
}

// decide asks Knative.
func (s *scaler) decide(now time.Time) {
	s.decided = now
	if result := s.uni.Scale(zap.NewNop().Sugar(), now); result.ScaleValid {
		s.desired, s.spare = result.DesiredPodCount, result.ExcessBurstCapacity
	}
}

// What Knative's decision reads: metrics.MetricClient and resources.EndpointsCounter.

func (s *scaler) StableAndPanicConcurrency(_ types.NamespacedName, now time.Time) (stable, panicking float64, err error) {
	return s.concurrency.averages(now)
}

func (s *scaler) StableAndPanicRPS(_ types.NamespacedName, now time.Time) (stable, panicking float64, err error) {
	return s.requests.averages(now)
}

func (s *scaler) ReadyCount() (int, error)    { return s.ready, nil }
func (s *scaler) NotReadyCount() (int, error) { return 0, nil }

var _ metrics.MetricClient = (*scaler)(nil)

// deciderSpec is what a PodAutoscaler and the settings want of the decision.
func deciderSpec(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config) scaling.DeciderSpec {
	target, total := targets(pa, c)
	spec := scaling.DeciderSpec{
		MaxScaleUpRate: c.MaxScaleUpRate, MaxScaleDownRate: c.MaxScaleDownRate,
		ScalingMetric: pa.Metric(), TargetValue: target, TotalValue: total,
		TargetBurstCapacity: c.TargetBurstCapacity, ActivatorCapacity: c.ActivatorCapacity,
		PanicThreshold: c.PanicThresholdPercentage / 100, StableWindow: stableWindow(pa, c),
		ScaleDownDelay: c.ScaleDownDelay, InitialScale: initialScale(pa, c),
		Reachable: pa.Spec.Reachability != autoscalingv1alpha1.ReachabilityUnreachable,
	}
	if v, ok := pa.PanicThresholdPercentage(); ok {
		spec.PanicThreshold = v / 100
	}
	if v, ok := pa.TargetBC(); ok {
		spec.TargetBurstCapacity = v
	}
	if v, ok := pa.ScaleDownDelay(); ok {
		spec.ScaleDownDelay = v
	}
	if v, ok := pa.ActivationScale(); ok {
		spec.ActivationScale = v
	}
	return spec
}

// targets are how much of the metric an instance is to have, and how much it can.
func targets(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config) (target, total float64) {
	concurrency, utilization := float64(pa.Spec.ContainerConcurrency), c.ContainerConcurrencyTargetFraction
	total = concurrency
	if total == 0 {
		total = c.ContainerConcurrencyTargetDefault
	}
	if pa.Metric() == autoscaling.RPS {
		total, utilization = c.RPSTargetDefault, c.TargetUtilization
	}
	if v, ok := pa.Target(); ok {
		total = v
		if pa.Metric() == autoscaling.Concurrency && concurrency != 0 {
			total = min(v, concurrency)
		}
	}
	if v, ok := pa.TargetUtilization(); ok {
		utilization = v
	}
	return math.Max(autoscaling.TargetMin, total*utilization), total
}

func stableWindow(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config) time.Duration {
	if v, ok := pa.Window(); ok {
		return v
	}
	return c.StableWindow
}

func panicWindow(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config) time.Duration {
	percentage := c.PanicWindowPercentage
	if v, ok := pa.PanicWindowPercentage(); ok {
		percentage = v
	}
	return max(config.BucketSize, time.Duration(float64(stableWindow(pa, c))*percentage/100).Round(time.Second))
}

func initialScale(pa *autoscalingv1alpha1.PodAutoscaler, c *autoscalerconfig.Config) int32 {
	if v, ok := pa.InitialScale(); ok && (v > 0 || c.AllowZeroInitialScale) {
		return v
	}
	return c.InitialScale
}

// firstSpare is the burst capacity to assume before there are figures.
func firstSpare(spec *scaling.DeciderSpec) int32 {
	if burst := spec.TargetBurstCapacity; burst == -1 || burst == 0 {
		return int32(burst)
	}
	return int32(float64(spec.InitialScale)*spec.TotalValue - spec.TargetBurstCapacity)
}
