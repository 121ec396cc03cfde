package deploy

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// reconsider is how often rules that depend on time are looked at again. It
// costs no request.
const reconsider = time.Second

// revisionLabel selects the pods and deployments of one revision.
const revisionLabel = serving + "revision="

// errStopWatch ends a watch from inside.
var errStopWatch = errors.New("seen enough")

// watched is what the watches have seen so far.
type watched struct {
	service  *servingv1.Service
	revision *servingv1.Revision
	pods     []*corev1.Pod
	seen     bool // the revision has been there
	deleted  bool // the service has been deleted
}

// awaitRevision waits until the revision is ready (nil, nil), until it is
// certain that it will not be (a finding), or until time is up: then the error
// is context.DeadlineExceeded and the finding says what it waited for.
func (d *deployer) awaitRevision(ctx context.Context, task progress.Task) (*Finding, error) {
	bounded, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	updates := make(chan func(*watched))
	failures := make(chan error)
	d.startWatches(bounded, updates, failures)

	tick := time.NewTicker(reconsider)
	defer tick.Stop()
	var now watched
	seen := sightings{}
	var looked string // the pod state that was looked into already
	evidence := Evidence{Revision: d.p.revision}
	for {
		select {
		case <-bounded.Done():
			if d.cluster.Unreachable() != nil {
				finding := Diagnose(evidence) // nobody can be asked for more
				return &finding, bounded.Err()
			}
			finding := d.investigate(context.WithoutCancel(ctx), evidence)
			return &finding, bounded.Err()
		case err := <-failures:
			return nil, err
		case change := <-updates:
			change(&now)
		case <-tick.C:
		}
		if stateOf(now.revision) == corev1.ConditionTrue {
			return nil, nil
		}
		evidence.Now, evidence.Service, evidence.Object, evidence.Pods = d.opts.Now(), now.service, now.revision, now.pods
		evidence.RevisionGone, evidence.ServiceGone = now.seen && now.revision == nil, now.deleted
		finding := Diagnose(evidence)
		if s := suspicion(evidence); s != "" && s != looked {
			// Something is odd and not yet certain: logs and events may tell.
			looked = s
			d.collect(bounded, &evidence)
			finding = Diagnose(evidence)
		}
		task.Update(d.p.revision + ": " + finding.Waiting)
		if finding.Terminal && seen.settled(finding, evidence.Now) {
			finding = d.investigate(bounded, evidence)
			return &finding, nil
		}
	}
}

// sightings remembers since when a terminal finding stands. Conditions flip
// while controllers catch up with each other; nothing is declared dead that was
// seen once.
type sightings struct {
	code  Code
	since time.Time
}

func (s *sightings) settled(f Finding, now time.Time) bool {
	if s.code != f.Code {
		s.code, s.since = f.Code, now
	}
	return now.Sub(s.since) >= f.Settle
}

// investigate looks at everything once more, for the final word.
func (d *deployer) investigate(ctx context.Context, e Evidence) Finding {
	bounded, cancel := context.WithTimeout(ctx, undoTimeout)
	defer cancel()
	d.collect(bounded, &e)
	e.Now = d.opts.Now()
	return Diagnose(e)
}

// startWatches follows the service, the revision and its pods until ctx ends.
func (d *deployer) startWatches(ctx context.Context, updates chan<- func(*watched), failures chan<- error) {
	send := func(change func(*watched)) error {
		select {
		case updates <- change:
			return nil
		case <-ctx.Done():
			return errStopWatch
		}
	}
	run := func(watch func() error) {
		go func() {
			if err := parallel.Guard(watch)(); err != nil && ctx.Err() == nil {
				select {
				case failures <- err:
				case <-ctx.Done():
				}
			}
		}()
	}
	run(func() error {
		return d.cluster.WatchService(ctx, d.spec.Service, func(svc *servingv1.Service) error {
			return send(func(w *watched) { w.deleted, w.service = svc == nil, svc })
		})
	})
	run(func() error {
		return d.cluster.WatchRevision(ctx, d.p.revision, func(rev *servingv1.Revision) error {
			return send(func(w *watched) { w.seen, w.revision = w.seen || rev != nil, rev })
		})
	})
	run(func() error {
		err := d.cluster.WatchPods(ctx, revisionLabel+d.p.revision, func(pods []*corev1.Pod) error {
			return send(func(w *watched) { w.pods = pods })
		})
		// Whoever may not see pods can still deploy; only the reasons are poorer.
		if fault.KindOf(err) == fault.Auth {
			return nil
		}
		return err
	})
}

// becomeRouted waits until the route has taken up the split of written, and
// undoes the deploy if it does not.
func (d *deployer) becomeRouted(ctx context.Context, written *servingv1.Service) (*servingv1.Service, error) {
	want := knative.Spec(written)
	task := d.opts.Report.Start("route "+want.String(), 0)
	timed, stop := context.WithTimeout(ctx, d.timeout())
	defer stop()
	bounded, cancel := context.WithCancel(timed)
	defer cancel()
	var last *servingv1.Service
	// False is believed when it stays: a route says it while the ingress takes
	// up new endpoints. Then the watch is cut short.
	var doubt *time.Timer
	calm := func() {
		if doubt != nil {
			doubt.Stop()
			doubt = nil
		}
	}
	defer func() { calm() }()
	err := d.cluster.WatchService(bounded, d.spec.Service, func(svc *servingv1.Service) error {
		switch {
		case svc == nil:
			return fault.New(fault.NotFound, "deploy.route", "service/"+d.spec.Service, "it was deleted meanwhile")
		case svc.Generation < written.Generation:
			return nil
		}
		last = svc
		if now := knative.Spec(svc); !now.Equal(want) {
			d.opts.Report.Note("somebody else has changed the split meanwhile: " + now.String())
			return errStopWatch
		}
		status, reason := d.routed(svc)
		switch {
		case status == corev1.ConditionTrue:
			return errStopWatch
		case status != corev1.ConditionFalse:
			calm()
		case doubt == nil:
			doubt = time.AfterFunc(settleRoute, cancel)
		}
		task.Update("route: " + reason)
		return nil
	})
	if errors.Is(err, errStopWatch) {
		task.Done("traffic: " + d.serves(last).String())
		return last, nil
	}
	task.Fail()
	return nil, d.routeFailed(ctx, last, err)
}

// settleRoute is how long a route may say False before it is believed: it does
// while the ingress takes up new endpoints.
const settleRoute = 10 * time.Second

// routed returns the RoutesReady condition of the generation that is there
// now. It is True only when the route's own list of targets says the same: the
// condition is older than the list for a moment after each change.
func (d *deployer) routed(svc *servingv1.Service) (corev1.ConditionStatus, string) {
	if svc.Status.ObservedGeneration < svc.Generation {
		return corev1.ConditionUnknown, "not yet seen by the controller"
	}
	c := svc.Status.GetCondition(servingv1.ServiceConditionRoutesReady)
	if c == nil {
		return corev1.ConditionUnknown, "not reported yet"
	}
	if c.Status != corev1.ConditionTrue {
		return c.Status, words(c.Reason, c.Message)
	}
	observed := knative.Split(svc.Status.Traffic)
	if !observed.Equal(knative.Spec(svc)) {
		return corev1.ConditionUnknown, "the route still has " + observed.String()
	}
	for _, t := range observed {
		// The latest revision is this one, unless somebody else has made a later one.
		if t.Latest && t.Percent > 0 && t.Revision != d.p.revision && svc.Status.LatestCreatedRevisionName == d.p.revision && !d.p.traffic.Keep {
			return corev1.ConditionUnknown, "the route still follows " + t.Revision
		}
	}
	return corev1.ConditionTrue, ""
}

// words is "Reason: message", or what there is of it.
func words(reason, message string) string {
	switch {
	case message == "":
		return reason
	case reason == "":
		return message
	}
	return reason + ": " + message
}
