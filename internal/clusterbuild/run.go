package clusterbuild

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// errSeen ends a watch.
var errSeen = errors.New("seen enough")

// run is one Run under way.
type run struct {
	*Spec
	cluster Cluster
	report  progress.Reporter
	name    string
}

// Run builds in the cluster. What it has made there is gone when it returns.
func Run(ctx context.Context, cluster Cluster, spec Spec, report progress.Reporter) (*Result, error) {
	spec.Timeout = cmp.Or(spec.Timeout, time.Hour)
	spec.StartWithin = cmp.Or(spec.StartWithin, 5*time.Minute)
	spec.patience = cmp.Or(spec.patience, 5*time.Second)
	spec.Greeting = cmp.Or(spec.Greeting, time.Minute)
	if spec.Program == nil {
		spec.Program = newOwnProgram(&spec, report)
	}
	r := &run{Spec: &spec, cluster: cluster, report: report, name: objectName(spec.Name)}
	template, err := r.admitted(ctx)
	if err != nil {
		return nil, err
	}
	return r.start(ctx, template)
}

// admitted is the pod as the cluster lets it in.
func (r *run) admitted(ctx context.Context) (*corev1.PodTemplateSpec, error) {
	for _, unconfined := range []bool{true, false} {
		template, err := r.pod(r.name, unconfined)
		if err != nil {
			return nil, err
		}
		probe := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
		probe.Name = r.name
		admission, err := r.cluster.CheckPod(ctx, probe)
		switch {
		case err == nil:
			return template, nil
		case !admission:
			return nil, err
		case !unconfined:
			return nil, refusedPod(r.Namespace, err)
		}
	}
	return nil, nil
}

// start makes the job and removes it in any case.
func (r *run) start(ctx context.Context, template *corev1.PodTemplateSpec) (_ *Result, err error) {
	task := r.report.Start("starting the build pod in "+r.Namespace, 0)
	pending := true
	defer func() {
		if pending {
			task.Fail()
		}
	}()
	// Also a request that got no answer may have made something.
	defer r.cleanUp(ctx)
	defer r.Program.Close()
	created := time.Now()
	job, err := r.cluster.CreateJob(ctx, r.job(r.name, template))
	if err != nil {
		return nil, err
	}
	if r.Lease > 0 {
		renewing, stop := context.WithCancel(ctx)
		var renewed sync.WaitGroup
		renewed.Go(func() { r.renew(renewing, created) })
		defer func() {
			stop()
			renewed.Wait()
		}()
	}
	if r.DockerConfig != nil {
		if err := r.cluster.CreateSecret(ctx, r.secret(r.name, job)); err != nil {
			return nil, err
		}
	}
	pod, err := r.awaitStart(ctx, job)
	if err != nil {
		return nil, err
	}
	pending = false
	task.Done("build pod of job/" + r.name + " in " + r.Namespace)
	return r.follow(ctx, pod)
}

// cleanUp removes everything, also when ctx has ended.
func (r *run) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	var errs []error
	if r.DockerConfig != nil {
		// It would go with the job; here it goes first.
		errs = append(errs, r.cluster.DeleteSecret(ctx, r.name))
	}
	errs = append(errs, r.cluster.DeleteJob(ctx, r.name))
	if err := errors.Join(errs...); err != nil {
		r.report.Warn("job/" + r.name + " in " + r.Namespace + " is still there: " + err.Error() + "; the cluster removes it " + KeptFor.String() + " after its end")
	}
}

// awaitStart waits until the pod runs, or has ended already.
func (r *run) awaitStart(ctx context.Context, job *batchv1.Job) (*corev1.Pod, error) {
	limited, cancel := context.WithTimeout(ctx, r.StartWithin)
	defer cancel()
	var found *corev1.Pod
	why, refused := "", ""
	var mu sync.Mutex // over what both write
	watched, stop := context.WithCancelCause(limited)
	var wg sync.WaitGroup
	wg.Go(parallel.Watched(stop, func() { r.awaitRefusal(watched, job.Name, &mu, &refused, stop) }))
	err := r.cluster.WatchPods(watched, buildKey+"="+r.name, func(pods []*corev1.Pod) error {
		if len(pods) == 0 {
			return nil
		}
		found = pods[len(pods)-1]
		s := look(found, r.Image)
		mu.Lock()
		refused = "no"
		mu.Unlock()
		if s.fatal != nil {
			return s.fatal
		}
		if s.running || s.ended != nil {
			return errSeen
		}
		if s.waits != "" && s.waits != why {
			why = s.waits
			r.report.Note("build pod: " + why)
		}
		return nil
	})
	cause := context.Cause(watched)
	stop(nil)
	wg.Wait()
	switch {
	case errors.Is(err, errSeen):
		return found, nil
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, ctx.Err()
	case limited.Err() != nil:
		e := fault.New(fault.Timeout, "clusterbuild.start", "job/"+r.name, "the build pod did not start in time: %s", cmp.Or(why, "the cluster made no pod"))
		return nil, e.WithHint("smaller requests find a node more easily: {Pod.Resources} cpu=100m,memory=256Mi; {Timeout} waits longer")
	case cause != nil:
		return nil, cause
	}
	return nil, err
}

// awaitRefusal stops the wait when the job's controller is not let to make a
// pod: the job itself does not say so.
func (r *run) awaitRefusal(ctx context.Context, job string, mu *sync.Mutex, made *string, stop context.CancelCauseFunc) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mu.Lock()
		seen := *made != ""
		mu.Unlock()
		if seen {
			return
		}
		events, err := r.cluster.ListEvents(ctx, "Job", job)
		if err != nil {
			continue // not everybody may read events
		}
		for _, e := range events {
			if e.Reason == "FailedCreate" {
				stop(refusedPod(r.Namespace, errors.New(e.Message)))
				return
			}
		}
	}
}

// follow feeds the pod, tells its log and waits for its end.
func (r *run) follow(ctx context.Context, pod *corev1.Pod) (*Result, error) {
	feeding, stopFeed := context.WithCancel(ctx)
	telling, stopLog := context.WithCancel(ctx)
	watching, stopWatch := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(parallel.Watched(stopWatch, func() {
		defer r.Program.LogEnded()
		err := r.cluster.FollowLog(telling, pod.Name, Container, ended, r.Program.Line)
		switch {
		case err == nil || telling.Err() != nil:
		case r.Program.Begun():
			r.report.Warn("the log of the build is not complete: " + err.Error())
		default:
			stopWatch(err) // without a log nothing begins
		}
	}))
	wg.Go(parallel.Watched(stopWatch, func() {
		attach := func(ctx context.Context, write func(context.Context, io.Writer) error) error {
			return r.attach(ctx, pod.Name, write)
		}
		if err := r.Program.Feed(feeding, attach); err != nil && feeding.Err() == nil {
			if fault.KindOf(err) == fault.Transient {
				// The pod may know better what is wrong; it gets a moment to say so.
				_ = backoff.Sleep(feeding, r.patience)
			}
			stopWatch(err)
		}
	}))
	last := pod
	err := r.cluster.WatchPods(watching, buildKey+"="+r.name, func(pods []*corev1.Pod) error {
		if len(pods) == 0 {
			return fault.New(fault.Transient, "clusterbuild.run", "pod/"+pod.Name, "the build pod is gone: somebody deleted it").WithHint("try again")
		}
		last = pods[len(pods)-1]
		if look(last, r.Image).ended != nil {
			return errSeen
		}
		return nil
	})
	cause := context.Cause(watching)
	stopFeed()
	close(ended)
	// What is left of the log is on its way; without the pod's end there is none to wait for.
	patience := time.AfterFunc(10*time.Second, stopLog)
	if !errors.Is(err, errSeen) {
		stopLog()
	}
	wg.Wait()
	patience.Stop()
	stopLog()
	stopWatch(nil)
	switch {
	case errors.Is(err, errSeen):
		return conclude(last, look(last, r.Image).ended, r.Program)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fault.New(fault.Timeout, "clusterbuild.run", "job/"+r.name, "the build took longer than its deadline").WithHint("{Timeout} gives it more time")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case cause != nil:
		return nil, cause
	}
	return nil, err
}

// attach connects what write writes to the pod's input.
func (r *run) attach(ctx context.Context, pod string, write func(context.Context, io.Writer) error) error {
	connected, disconnect := context.WithCancel(ctx)
	defer disconnect()
	reader, writer := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		err := parallel.Guard(func() error { return write(connected, writer) })()
		wrote <- errors.Join(err, writer.CloseWithError(err))
	}()
	err := r.cluster.AttachInput(ctx, pod, Container, reader)
	disconnect()
	// The writer is stopped, in case that nobody reads any more, and waited for.
	_ = reader.CloseWithError(io.ErrClosedPipe)
	writeErr := <-wrote
	// A file that could not be read is the cause of whatever else went wrong.
	if writeErr != nil && !errors.Is(writeErr, io.ErrClosedPipe) && !errors.Is(writeErr, context.Canceled) && ctx.Err() == nil {
		return writeErr
	}
	return err
}
