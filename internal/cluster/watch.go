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

// pollEvery is how often a list is read where watching is not permitted.
const pollEvery = time.Second

// WatchService calls on with the service as it is now and again after every
// change; with nil while it does not exist. It ends when on returns an error
// (ErrStop counts as none), when ctx ends, or when listing is refused; where
// only watching is, the list is read every second.
// Closed connections, expired resource versions and restarts of the API
// server are survived without a word.
func (c *Client) WatchService(ctx context.Context, name string, on func(*servingv1.Service) error) error {
	api := c.serving.Services(c.namespace)
	return follow(ctx, source[*servingv1.Service]{
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
	return follow(ctx, source[*servingv1.Revision]{
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
	return follow(ctx, source[*corev1.Pod]{
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
func follow[T metav1.Object](ctx context.Context, src source[T], emit func([]T) error) error {
	pause := newPause(rewatchAfter, rewatchAtMost)
	for {
		items, version, err := src.list(ctx, src.options)
		if err != nil {
			if !passing(err) || ctx.Err() != nil {
				return ended(ctx, src.explain("list", err))
			}
			if err := pause.Wait(ctx); err != nil {
				return err
			}
			continue
		}
		known := setOf(items)
		if err := emit(known.sorted()); err != nil {
			return stopped(err)
		}
		// Watch from version until the server no longer knows that version.
		for relist := false; !relist; {
			version, relist, err = watchOnce(ctx, src, version, known, pause, emit)
			if err != nil {
				return stopped(err)
			}
		}
	}
}

// watchOnce follows one watch to its end. It returns the resource version to
// go on from, whether that version is gone, and an error that ends it all.
func watchOnce[T metav1.Object](ctx context.Context, src source[T], version string, known set[T], pause *backoff.Backoff, emit func([]T) error) (string, bool, error) {
	o := src.options
	o.ResourceVersion, o.AllowWatchBookmarks = version, true
	w, err := src.watch(ctx, o)
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return "", false, ended(ctx, err)
		case apierrors.IsGone(err), apierrors.IsResourceExpired(err):
			return "", true, pause.Wait(ctx)
		case passing(err):
			return version, false, pause.Wait(ctx)
		case apierrors.IsForbidden(err):
			// Some roles may list and not watch: the list is read again and again.
			return "", true, backoff.Sleep(ctx, pollEvery)
		}
		return "", false, src.explain("watch", err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", false, ended(ctx, ctx.Err())
		case event, open := <-w.ResultChan():
			if !open {
				return version, false, pause.Wait(ctx)
			}
			switch event.Type {
			case watch.Error:
				err := apierrors.FromObject(event.Object)
				if apierrors.IsGone(err) || apierrors.IsResourceExpired(err) || passing(err) {
					return "", true, pause.Wait(ctx)
				}
				return "", false, src.explain("watch", err)
			case watch.Bookmark:
				if o, ok := event.Object.(metav1.Object); ok {
					version = o.GetResourceVersion()
				}
			default:
				object, ok := event.Object.(T)
				if !ok {
					continue
				}
				pause.Reset()
				version = object.GetResourceVersion()
				known.apply(event.Type, object)
				if err := emit(known.sorted()); err != nil {
					return "", false, err
				}
			}
		}
	}
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
