package clustertest

import (
	"time"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// testSplits: a split is written over the version that was read, or not at all.
func testSplits(s *suite) {
	name := s.Split
	if name == "" {
		name = "fn"
		s.create(func(svc *servingv1.Service) { svc.Spec.Template.Name = "fn-v1" })
	}
	snap := s.snapshot(name)
	if snap.Name != name || snap.Version == "" || snap.Spec.String() == "" {
		s.Fatalf("the snapshot is %+v", snap)
	}
	next := traffic.Split{{Revision: name + "-v1", Percent: 100}}
	change := traffic.Change{Split: next}.Annotate(traffic.HistoryKey, `[{"at":"2026-01-01T00:00:00Z","split":[]}]`)
	if snap.Spec.Equal(next) {
		s.Fatalf("the split is %s already", next)
	}
	var written, before *traffic.Snapshot
	s.eventually("the split is written", func() string {
		before = s.snapshot(name)
		var err error
		if written, err = s.Splits.Update(s.ctx, before, change); err != nil {
			return err.Error() // a controller was faster
		}
		return ""
	})
	if !written.Spec.Equal(next) || written.Generation != before.Generation+1 || written.Version == before.Version || written.Annotations[traffic.HistoryKey] == "" {
		s.Errorf("written %+v over %+v", written, before)
	}
	_, err := s.Splits.Update(s.ctx, before, traffic.Change{Split: before.Spec})
	s.wantKind("a write over an old version", err, fault.Conflict)
	if now := s.snapshot(name); !now.Spec.Equal(next) {
		s.Errorf("the refused write left %s", now.Spec)
	}
	err = s.Splits.WatchService(s.ctx, name, func(now *traffic.Snapshot) (bool, error) {
		if !now.Spec.Equal(next) {
			s.Errorf("a watch begins with %s", now.Spec)
		}
		return true, nil
	})
	if err != nil {
		s.Errorf("a watch that is done: %v", err)
	}
	s.watchesWrite(name, before.Spec)
}

func (s *suite) snapshot(name string) *traffic.Snapshot {
	s.Helper()
	snap, err := s.Splits.Snapshot(s.ctx, name)
	if err != nil {
		s.Fatal(err)
	}
	return snap
}

// watchesWrite: whoever watches sees what is written.
func (s *suite) watchesWrite(name string, next traffic.Split) {
	s.Helper()
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		first := true
		ended <- s.Splits.WatchService(s.ctx, name, func(now *traffic.Snapshot) (bool, error) {
			if first {
				close(started)
			}
			first = false
			return now.Spec.Equal(next), nil
		})
	}()
	<-started
	s.eventually("the split is written once more", func() string {
		history := s.snapshot(name).Annotations[traffic.HistoryKey]
		written, err := s.Splits.Update(s.ctx, s.snapshot(name), traffic.Change{Split: next})
		if err != nil {
			return err.Error()
		}
		if got := written.Annotations[traffic.HistoryKey]; got != history {
			s.Errorf("the history was %q and is %q", history, got)
		}
		return ""
	})
	select {
	case err := <-ended:
		if err != nil {
			s.Errorf("the watch ended with %v", err)
		}
	case <-time.After(s.Within):
		s.Error("the watch did not see the write")
	}
}
