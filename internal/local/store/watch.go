package store

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Change is what happened to an object.
type Change string

// The changes, as a watch's events call them.
const (
	Added    Change = "ADDED"
	Modified Change = "MODIFIED"
	Deleted  Change = "DELETED"
)

// Event is one change of one object.
type Event struct {
	Change  Change
	Version uint64
	Kind    *Kind
	Object  Object // as it is afterwards, or was when it was deleted
	Old     Object // as it was before; nil when it was added
}

// remembered is how many changes a watch may be behind. Each holds an object as it was,
// of some 10 kB.
const remembered = 1024

// history is the last changes, oldest first. It has a lock of its own: who
// follows a watch does not hold up writers.
type history struct {
	mu      sync.Mutex
	events  []Event
	before  uint64 // the version before the first of events
	changed chan struct{}
}

func (h *history) begin(version uint64) {
	h.before, h.changed = version, make(chan struct{})
}

func (h *history) add(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) >= 2*remembered {
		// A copy, so that what is forgotten can be collected.
		h.events = append(make([]Event, 0, 2*remembered), h.events[len(h.events)-remembered:]...)
		h.before = h.events[0].Version - 1
	}
	h.events = append(h.events, e)
	close(h.changed)
	h.changed = make(chan struct{})
}

// after returns the changes behind version, or, when there are none, a channel
// that is closed by the next one.
func (h *history) after(version uint64) (events []Event, next <-chan struct{}, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if version < h.before {
		return nil, nil, true
	}
	// Each change has the version after the last one's.
	if from := version - h.before; from < uint64(len(h.events)) {
		return h.events[from:len(h.events):len(h.events)], nil, false
	}
	return nil, h.changed, false
}

// Watch hands out changes in their order.
type Watch struct {
	store   *Store
	version uint64
}

// Watch begins behind a version, as List or an object's ResourceVersion gives it.
func (s *Store) Watch(version uint64) *Watch { return &Watch{s, version} }

// Version is that of the last change that Next has returned, of any kind.
func (w *Watch) Version() uint64 { return w.version }

// Next waits for changes and returns all that there are. It fails with Expired
// (410) when the watch is too far behind, and with ctx.
func (w *Watch) Next(ctx context.Context) ([]Event, error) {
	for {
		events, next, gone := w.store.log.after(w.version)
		if gone {
			return nil, apierrors.NewResourceExpired("too old resource version")
		}
		if len(events) > 0 {
			w.version = events[len(events)-1].Version
			return events, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Follow calls each with every change until ctx ends, which is no error. begin takes up
// what there is and returns the watch from there on: at first, and again whenever the
// watch has fallen too far behind.
func Follow(ctx context.Context, begin func() *Watch, each func(Event)) error {
	watch := begin()
	for {
		events, err := watch.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case apierrors.IsResourceExpired(err):
			watch = begin()
		case err != nil:
			return err
		}
		for _, e := range events {
			each(e)
		}
	}
}

// Version is that of the last change.
func (s *Store) Version() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.version
}
