package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"knative.dev/serving/pkg/apis/autoscaling"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kn-lite/kn-lite/internal/local/autoscale"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// noTraffic is what the router says when nobody asks for anything.
type noTraffic struct{}

func (noTraffic) Collect(time.Time, func(namespace, revision string, concurrency, requests float64)) {
}

// realAutoscaler has the platform's own autoscaler in place of the played one.
func (p *platform) realAutoscaler(ctx context.Context, group *sync.WaitGroup) {
	scaler, err := autoscale.New(autoscale.Options{Store: p.store, Figures: noTraffic{}})
	if err != nil {
		p.Fatal(err)
	}
	group.Go(func() { _ = scaler.Run(ctx) })
}

func (p *platform) ready(revision string) int {
	d, ok := store.Get[*appsv1.Deployment](p.store, "default", revision+"-deployment")
	if !ok {
		return -1
	}
	return int(d.Status.ReadyReplicas)
}

func TestScalesWithTheAutoscaler(t *testing.T) {
	p := newPlatform(t)
	p.real = true
	p.start()
	p.service("least", templateAnnotation(autoscaling.MinScaleAnnotationKey, "2"))
	p.service("first", templateAnnotation(autoscaling.InitialScaleAnnotationKey, "3"))
	p.service("plain")
	for name, want := range map[string]int{"least": 2, "first": 3, "plain": 1} {
		p.awaitReady(name)
		p.await(fmt.Sprint(name, " has its pods"), func() error {
			if n := p.ready(name + "-00001"); n != want {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
	}
	p.stop()
	p.start()
	p.await("all is as it was, but at zero where it may be", func() error {
		if a, b, c := p.ready("least-00001"), p.ready("first-00001"), p.ready("plain-00001"); a != 2 || b != 0 || c != 0 {
			return fmt.Errorf("%d, %d, %d", a, b, c)
		}
		for _, name := range []string{"least", "first", "plain"} {
			if svc := p.get(name); !svc.IsReady() {
				return fmt.Errorf("%s: %+v", name, svc.Status.Conditions)
			}
		}
		return nil
	})
	// What the autoscaler says of a service at zero is what it finds.
	var pa *autoscalingv1alpha1.PodAutoscaler
	p.await("there is an autoscaler", func() (err error) {
		var ok bool
		if pa, ok = store.Get[*autoscalingv1alpha1.PodAutoscaler](p.store, "default", "plain-00001"); !ok {
			err = errors.New("there is none")
		}
		return err
	})
	if pa.Generation != 1 || !pa.Status.IsInactive() || !pa.Status.IsScaleTargetInitialized() {
		t.Errorf("%+v", pa.Status)
	}
	p.await("nothing more is written", func() error {
		version := p.store.Version()
		time.Sleep(300 * time.Millisecond)
		if now := p.store.Version(); now != version {
			return fmt.Errorf("%d changes", now-version)
		}
		return nil
	})
	if again, _ := store.Get[*autoscalingv1alpha1.PodAutoscaler](p.store, "default", "plain-00001"); again.ResourceVersion != pa.ResourceVersion {
		t.Errorf("the autoscaler wrote:\n%+v\n%+v", pa.Status, again.Status)
	}
}
