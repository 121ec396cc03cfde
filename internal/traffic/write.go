package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Snapshot is one version of a service, as far as traffic goes.
type Snapshot struct {
	Namespace, Name string
	Version         string // resourceVersion: a write names the version it was computed from
	Generation      int64
	Spec            Split
	Annotations     map[string]string // not to be changed
	LatestReady     string
	LatestCreated   string
	URL             string
	Created         time.Time
	Origin          any // the store's own object, for Update

	// What the cluster has made of it so far.
	ObservedGeneration int64
	Observed           Split
	Routed             State // of the RoutesReady condition
	RoutedReason       string
	RoutedMessage      string
	Ready              State // of the whole service
	Reason             string
	Message            string
}

// Writer reads and changes the traffic of services in one namespace.
type Writer interface {
	// Snapshot reads a service, from the API server and not from a cache.
	// fault.NotFound when there is none.
	Snapshot(ctx context.Context, service string) (*Snapshot, error)
	// Revisions lists the service's revisions in any order.
	Revisions(ctx context.Context, service string) ([]Revision, error)
	// Update writes a change to the version of the service that snap is of: the
	// write carries its resourceVersion. fault.Conflict when the service has
	// moved on since. A lost reply to a committed write is not retried.
	Update(ctx context.Context, snap *Snapshot, change Change) (*Snapshot, error)
}

// Store is a Writer that can also wait.
type Store interface {
	Writer
	// WatchService calls visit with the service as it is and after each
	// change, until visit says that it is done, fails, or ctx ends. It
	// survives closed watches and expired versions. fault.NotFound when the
	// service goes away.
	WatchService(ctx context.Context, service string, visit func(*Snapshot) (done bool, err error)) error
	// Unreachable returns why a watch that has ended was cut off from the cluster at
	// its end; nil when it was not.
	Unreachable() error
}

// Options say how Update behaves.
type Options struct {
	DryRun       bool
	IfGeneration int64 // when not 0: fail unless the service is at this generation
	Now          time.Time
	// Preview is called before anything is written, also on a dry run, and again
	// when Rebase lets an edit be worked out anew; it may be nil. An error stops the edit.
	Preview func(Result) error
	// Rebase reports whether an edit that was meant for one split means the same for
	// another, to which somebody else has changed it meanwhile. nil: it does not.
	Rebase func(was, now Split) bool
}

// Result is a split before and after.
type Result struct {
	Before  *Snapshot
	Known   Known
	Next    Split
	Changes []Difference // empty: the split was already the one asked for
	After   *Snapshot    // nil on a dry run and when nothing changed
}

// Plan works out the change of a service from what is known of it. What it
// returns is written when it differs from what there is; a split that is
// replaced joins the history.
type Plan func(snap *Snapshot, known Known) (Change, error)

// MovedError is the cause of a conflict that is final: somebody else has changed
// the split that an edit was meant for.
type MovedError struct{ Changes []Difference } // none: only the version is known to differ

// Error implements error.
func (e *MovedError) Error() string {
	if len(e.Changes) == 0 {
		return "the service was changed by somebody else meanwhile"
	}
	return "the split was changed by somebody else meanwhile: " + DiffText(e.Changes)
}

// Set makes the split what the edit says. See Update.
func Set(ctx context.Context, store Writer, service string, edit Edit, opts Options) (Result, error) {
	return Request{Edit: edit}.Do(ctx, store, service, opts)
}

// ApplyReady returns the change to the split that an edit asks for, whose
// revisions have to be ready.
func (k Known) ApplyReady(edit []Resolved) (Change, error) {
	next, err := Apply(k.Split, edit)
	if err != nil {
		return Change{}, err
	}
	return Change{Split: next}, CheckReady(k, next)
}

// Untag removes tags from the split; who gets how much stays. See Update.
func Untag(ctx context.Context, store Writer, service string, tags []string, opts Options) (Result, error) {
	return Request{Untag: tags}.Do(ctx, store, service, opts)
}

// Update reads a service, changes it as plan says, and writes it under the
// version that was read. When somebody else changes the service meanwhile it tries
// again only while the split is still the one that was read first, or opts.Rebase
// permits it, else it is a fault.Conflict caused by a MovedError. It ends with ctx.
func Update(ctx context.Context, store Writer, service string, plan Plan, opts Options) (Result, error) {
	var first *Snapshot
	var previewed Split
	for attempt := 0; ; attempt++ {
		snap, err := store.Snapshot(ctx, service)
		if err != nil {
			return Result{}, err
		}
		if opts.IfGeneration != 0 && snap.Generation != opts.IfGeneration {
			return Result{}, fault.New(fault.Conflict, "traffic.set", "service/"+service, "its generation is %d, expected %d", snap.Generation, opts.IfGeneration).
				WithHint("somebody changed it meanwhile; its split is now %s", snap.Spec.Normal())
		}
		if first == nil {
			first = snap
		} else if was, now := first.Spec.Normal(), snap.Spec.Normal(); !now.Equal(was) && (opts.Rebase == nil || !opts.Rebase(was, now)) {
			return Result{}, moved(service, first, snap)
		}
		result, change, err := decide(ctx, store, snap, plan, opts.Now)
		if err != nil {
			return Result{}, err
		}
		if opts.Preview != nil && (attempt == 0 || !result.Next.Equal(previewed)) {
			if err := opts.Preview(result); err != nil {
				return Result{}, err
			}
			previewed = result.Next
		}
		if opts.DryRun || change.IsEmpty() {
			return result, nil
		}
		result.After, err = store.Update(ctx, snap, change)
		if fault.KindOf(err) != fault.Conflict {
			return result, err
		}
		if err := pause(ctx, attempt); err != nil {
			return Result{}, err
		}
	}
}

// decide plans a change, and returns what of it is to be written.
func decide(ctx context.Context, store Writer, snap *Snapshot, plan Plan, now time.Time) (Result, Change, error) {
	revisions, err := store.Revisions(ctx, snap.Name)
	if err != nil {
		return Result{}, Change{}, err
	}
	known := Known{Service: snap.Name, Revisions: revisions, LatestReady: snap.LatestReady, Split: snap.Spec.Normal()}
	change, err := plan(snap, known)
	if err != nil {
		return Result{}, Change{}, err
	}
	result := Result{Before: snap, Known: known, Next: known.Split}
	if change.Split == nil {
		return result, change, nil
	}
	result.Next, result.Changes = change.Split, Diff(known.Split, change.Split)
	if len(result.Changes) == 0 {
		change.Split = nil
	} else {
		change = snap.Replace(change.Split, now).And(change)
	}
	return result, change, nil
}

func moved(service string, was, now *Snapshot) *fault.Error {
	cause := &MovedError{Diff(was.Spec.Normal(), now.Spec.Normal())}
	return (&fault.Error{Op: "traffic.set", Kind: fault.Conflict, Subject: "service/" + service, Err: cause}).
		WithHint("nothing was changed; its split is now %s\nlook at it with `kn-lite traffic show %s` and decide again", now.Spec.Normal(), service)
}

// pause waits before the next try: 10 ms doubling to at most 1 s, spread so
// that many writers do not meet again.
func pause(ctx context.Context, attempt int) error {
	policy := backoff.Policy{First: 10 * time.Millisecond, Max: time.Second, Jitter: 0.5}
	if err := policy.Wait(ctx, attempt); err != nil {
		return fault.New(fault.Timeout, "traffic.set", "", "others kept changing the service: %w", err).
			WithHint("nothing was changed; try again")
	}
	return nil
}

// Await waits until the cluster routes as a write asked for: the generation is
// observed, the route is ready and status.traffic says the same as the spec.
// report, which may be nil, hears each new reason for waiting.
func Await(ctx context.Context, store Store, written *Snapshot, report func(string)) (*Snapshot, error) {
	var last *Snapshot
	reason := ""
	err := store.WatchService(ctx, written.Name, func(snap *Snapshot) (bool, error) {
		last = snap
		if snap.Generation > written.Generation && !snap.Spec.Normal().Equal(written.Spec.Normal()) {
			return false, moved(written.Name, written, snap).
				WithHint("the split was written, and then changed by somebody else; it is now %s", snap.Spec.Normal())
		}
		if snap.Routes() {
			return true, nil
		}
		if why := snap.WhyNot(); why != reason && report != nil {
			reason = why
			report(why)
		}
		return false, nil
	})
	if err != nil && ctx.Err() != nil {
		kind := fault.Partial
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			kind = fault.Timeout
		}
		if away := store.Unreachable(); away != nil {
			return last, (&fault.Error{
				Op: "traffic.await", Kind: kind, Subject: "service/" + written.Name,
				Err: fmt.Errorf("the split is written, and whether the route has taken it up is not known: %w", away),
			}).WithHint("%s\nsee `kn-lite traffic show %s` when it answers", fault.HintOf(away), written.Name)
		}
		if last == nil {
			return nil, err
		}
		return last, fault.New(kind, "traffic.await", "service/"+written.Name, "the split is written, and the route has not taken it up: %s: %w", last.WhyNot(), ctx.Err()).
			WithHint("it will when the cluster gets to it; see `kn-lite traffic show %s`", written.Name)
	}
	return last, err
}

// Routes reports whether the cluster routes as the spec says.
func (s *Snapshot) Routes() bool {
	return s.ObservedGeneration >= s.Generation && s.Routed == Ready && s.Observed.Equal(s.Spec.Normal())
}

// WhyNot says what is missing while Routes is false.
func (s *Snapshot) WhyNot() string {
	switch {
	case s.ObservedGeneration < s.Generation:
		return "not yet seen by the controller"
	case s.Routed != Ready && s.RoutedReason != "":
		if s.RoutedMessage != "" {
			return s.RoutedReason + ": " + s.RoutedMessage
		}
		return s.RoutedReason
	case s.Routed != Ready:
		return "the route is not ready"
	}
	return "the ingress still has " + s.Observed.String()
}
