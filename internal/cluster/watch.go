package cluster

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/backoff"
)

// ErrStop is what a watch's callback returns when it has seen enough; the
// watch then ends without an error.
var ErrStop = errors.New("seen enough")

// Between two attempts to watch. A server that closes every watch at once is
// asked at most twice a second, one that refuses at most every five seconds.
const (
	rewatchAfter  = 500 * time.Millisecond
	rewatchAtMost = 5 * time.Second
)

// renewAfter is what it takes until the connections of requests that were given up
// are idle.
const renewAfter = 100 * time.Millisecond

// pollEvery is how often a list is read where watching is not permitted.
const pollEvery = time.Second

// WatchService calls on with the service as it is now and again after every
// change; with nil while it does not exist. It ends when on returns an error
// (ErrStop counts as none), when ctx ends, or when listing is refused; where
// only watching is, the list is read every second.
// Closed connections, expired resource versions and restarts of the API
// server are survived, the short ones without a word: see reach.
func (c *Client) WatchService(ctx context.Context, name string, on func(*servingv1.Service) error) error {
	api := c.serving.Services(c.namespace)
	return follow(ctx, c.reach, source[*servingv1.Service]{
		list:    listing(api.List, func(l *servingv1.ServiceList) []servingv1.Service { return l.Items }),
		watch:   api.Watch,
		options: named(name),
		explain: func(verb string, err error) error {
			return c.explain(call{verb: verb, resource: services, name: name}, err)
		},
	}, func(all []*servingv1.Service) error { return on(only(all)) })
}

// WatchRevision is WatchService for a revision.
func (c *Client) WatchRevision(ctx context.Context, name string, on func(*servingv1.Revision) error) error {
	api := c.serving.Revisions(c.namespace)
	return follow(ctx, c.reach, source[*servingv1.Revision]{
		list:    listing(api.List, func(l *servingv1.RevisionList) []servingv1.Revision { return l.Items }),
		watch:   api.Watch,
		options: named(name),
		explain: func(verb string, err error) error {
			return c.explain(call{verb: verb, resource: revisions, name: name}, err)
		},
	}, func(all []*servingv1.Revision) error { return on(only(all)) })
}

// WatchPods calls on with all pods that match the label selector, oldest
// first, now and after every change to any of them. See WatchService.
func (c *Client) WatchPods(ctx context.Context, selector string, on func([]*corev1.Pod) error) error {
	api := c.core.Pods(c.namespace)
	return follow(ctx, c.reach, source[*corev1.Pod]{
		list:    listing(api.List, func(l *corev1.PodList) []corev1.Pod { return l.Items }),
		watch:   api.Watch,
		options: metav1.ListOptions{LabelSelector: selector},
		explain: func(verb string, err error) error {
			return c.explain(call{verb: verb, resource: pods}, err)
		},
	}, on)
}

func named(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: "metadata.name=" + name}
}

// listing turns a typed list call into what follow reads: the objects and the
// version of the whole list.
func listing[T any, L metav1.ListInterface](list func(context.Context, metav1.ListOptions) (L, error), items func(L) []T) func(context.Context, metav1.ListOptions) ([]*T, string, error) {
	return func(ctx context.Context, o metav1.ListOptions) ([]*T, string, error) {
		found, err := list(ctx, o)
		if err != nil {
			return nil, "", err
		}
		return pointers(items(found)), found.GetResourceVersion(), nil
	}
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

func only[T any](all []*T) *T {
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// source is what follow needs to know about one kind of object.
type source[T metav1.Object] struct {
	list    func(context.Context, metav1.ListOptions) ([]T, string, error)
	watch   func(context.Context, metav1.ListOptions) (watch.Interface, error)
	options metav1.ListOptions
	explain func(verb string, err error) error
}

// follow keeps a set of objects up to date and hands it to emit after every
// change. client-go's RetryWatcher ends on 410 Gone and its informers never
// end on a refusal; a person who waits needs both the other way round.
func follow[T metav1.Object](ctx context.Context, reach *reach, src source[T], emit func([]T) error) error {
	defer reach.enter(ctx)()
	f := &following[T]{reach: reach, src: src, pause: newPause(rewatchAfter, rewatchAtMost), emit: emit}
	for {
		items, version, err := f.list(ctx)
		if err != nil {
			if !passing(err) || ctx.Err() != nil {
				return ended(ctx, src.explain("list", err))
			}
			if err := f.pause.Wait(ctx); err != nil {
				return err
			}
			continue
		}
		f.known = setOf(items)
		if err := emit(f.known.sorted()); err != nil {
			return stopped(err)
		}
		// Watch from version until the server no longer knows that version.
		for relist := false; !relist; {
			version, relist, err = f.watchOnce(ctx, version)
			if err != nil {
				return stopped(err)
			}
		}
	}
}

// following is one call of follow.
type following[T metav1.Object] struct {
	reach *reach
	src   source[T]
	known set[T]
	pause *backoff.Backoff
	emit  func([]T) error
}

// list reads the objects. What was asked of a server that has been away, or that
// says nothing, is asked again.
func (f *following[T]) list(ctx context.Context) ([]T, string, error) {
	for {
		once, cancel := f.reach.attempt(ctx, listTimeout)
		items, version, err := f.src.list(once, f.src.options)
		gone := once.Err() != nil
		cancel()
		switch {
		case err == nil:
			f.reach.answered()
		case gone && ctx.Err() == nil:
			if err := f.afresh(ctx); err != nil {
				return nil, "", err
			}
			continue
		case isTransport(err):
			f.reach.failed()
		}
		return items, version, err
	}
}

// afresh is called before something is asked again over another connection.
func (f *following[T]) afresh(ctx context.Context) error {
	f.pause.Reset()
	err := backoff.Sleep(ctx, renewAfter)
	f.reach.renew()
	return err
}

// watchOnce follows one watch to its end. It returns the resource version to
// go on from, whether that version is gone, and an error that ends it all.
func (f *following[T]) watchOnce(ctx context.Context, version string) (string, bool, error) {
	o := f.src.options
	o.ResourceVersion, o.AllowWatchBookmarks = version, true
	once, cancel := f.reach.attempt(ctx, 0)
	defer cancel()
	w, err := f.src.watch(once, o)
	if err != nil {
		return f.refused(ctx, once, version, err)
	}
	defer w.Stop()
	f.reach.answered()
	for {
		select {
		case <-ctx.Done():
			return "", false, ended(ctx, ctx.Err())
		case event, open := <-w.ResultChan():
			if !open && once.Err() != nil && ctx.Err() == nil {
				return version, false, f.afresh(ctx)
			}
			if !open {
				f.reach.failed()
				return version, false, f.pause.Wait(ctx)
			}
			f.reach.answered()
			switch event.Type {
			case watch.Error:
				err := apierrors.FromObject(event.Object)
				if apierrors.IsGone(err) || apierrors.IsResourceExpired(err) || passing(err) {
					return "", true, f.pause.Wait(ctx)
				}
				return "", false, f.src.explain("watch", err)
			case watch.Bookmark:
				if o, ok := event.Object.(metav1.Object); ok {
					version = o.GetResourceVersion()
				}
			default:
				object, ok := event.Object.(T)
				if !ok {
					continue
				}
				f.pause.Reset()
				version = object.GetResourceVersion()
				f.known.apply(event.Type, object)
				if err := f.emit(f.known.sorted()); err != nil {
					return "", false, err
				}
			}
		}
	}
}

// refused is watchOnce for a watch that did not come about.
func (f *following[T]) refused(ctx, once context.Context, version string, err error) (string, bool, error) {
	switch {
	case ctx.Err() != nil:
		return "", false, ended(ctx, err)
	case once.Err() != nil:
		return version, false, f.afresh(ctx)
	case apierrors.IsGone(err), apierrors.IsResourceExpired(err):
		return "", true, f.pause.Wait(ctx)
	case passing(err):
		if isTransport(err) {
			f.reach.failed()
		}
		return version, false, f.pause.Wait(ctx)
	case apierrors.IsForbidden(err):
		// Some roles may list and not watch: the list is read again and again.
		return "", true, backoff.Sleep(ctx, pollEvery)
	}
	return "", false, f.src.explain("watch", err)
}

// isTransport reports whether a request has had no answer, not even a refusal.
func isTransport(err error) bool {
	var status apierrors.APIStatus
	return passing(err) && !errors.As(err, &status)
}

// set is the objects known now, by namespace and name.
type set[T metav1.Object] map[string]T

func setOf[T metav1.Object](items []T) set[T] {
	s := make(set[T], len(items))
	for _, item := range items {
		s.apply(watch.Added, item)
	}
	return s
}

func (s set[T]) apply(change watch.EventType, object T) {
	key := object.GetNamespace() + "/" + object.GetName()
	if change == watch.Deleted {
		delete(s, key)
		return
	}
	s[key] = object
}

// sorted is the objects, oldest first.
func (s set[T]) sorted() []T {
	return slices.SortedFunc(maps.Values(s), func(a, b T) int {
		x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		if c := x.Time.Compare(y.Time); c != 0 {
			return c
		}
		return cmp.Compare(a.GetName(), b.GetName())
	})
}

// newPause returns the pauses between attempts: they double until something arrives.
func newPause(first, most time.Duration) *backoff.Backoff {
	return backoff.New(backoff.Policy{First: first, Max: most})
}

// stopped turns the wish to stop into success.
func stopped(err error) error {
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// ended prefers the context's own reason over what a cut connection said.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
