package dashboard

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/view"
)

const (
	// changesEvery is how often changes of objects are shown, however many there are.
	changesEvery = 150 * time.Millisecond
	// figuresEvery is how often requests are counted.
	figuresEvery = time.Second
)

// hub follows the platform while anybody looks, and does nothing otherwise. What a
// change costs does not depend on how many services there are: only the service that
// an object belongs to is read again.
type hub struct {
	store   *store.Store
	figures view.Figures
	now     func() time.Time

	mu       sync.Mutex
	viewers  int
	stop     context.CancelFunc
	started  chan struct{} // closed when services has been read for the first time
	services map[string]*entry
	gone     map[string]uint64 // of services that were deleted: when
	turn     uint64            // grows with every change, so that a viewer knows what it has seen
	changed  chan struct{}     // closed by the next change
}

// entry is one service. It is replaced, never changed: viewers read it without a lock.
type entry struct {
	service view.Service
	changed uint64 // turn of the last change of objects
	counted uint64 // turn of the last change of figures
}

func newHub(s *store.Store, figures view.Figures, now func() time.Time) *hub {
	return &hub{store: s, figures: figures, now: now}
}

// join begins a viewer; leave ends it.
func (h *hub) join() (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.viewers++
	if h.viewers == 1 {
		ctx, stop := context.WithCancel(context.Background())
		h.stop, h.services, h.gone = stop, map[string]*entry{}, map[string]uint64{}
		h.started, h.changed = make(chan struct{}), make(chan struct{})
		go h.follow(ctx, h.started)
	}
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.viewers--; h.viewers == 0 {
			h.stop()
		}
	})
}

// follow keeps services as the store has them until ctx ends.
func (h *hub) follow(ctx context.Context, started chan struct{}) {
	events := make(chan []store.Event)
	go h.watch(ctx, events)
	tick := time.NewTicker(figuresEvery)
	defer tick.Stop()
	dirty := map[string]bool{}
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case batch := <-events:
			if batch == nil {
				h.readAll(ctx)
				closeOnce(started)
				continue
			}
			for _, e := range batch {
				note(dirty, e.Object)
				note(dirty, e.Old)
			}
			if due == nil && len(dirty) > 0 {
				due = time.After(changesEvery)
			}
		case <-due:
			h.refresh(ctx, dirty)
			due, dirty = nil, map[string]bool{}
		case <-tick.C:
			h.count(ctx)
		}
	}
}

// watch hands on what changes. nil stands for everything: at the start, and when it
// was too slow for the store.
func (h *hub) watch(ctx context.Context, to chan<- []store.Event) {
	for {
		w := h.store.Watch(h.store.Version())
		var batch []store.Event
		for err := error(nil); err == nil; batch, err = w.Next(ctx) {
			select {
			case to <- batch:
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// note adds the service that an object belongs to.
func note(dirty map[string]bool, object store.Object) {
	switch o := object.(type) {
	case nil:
	case *servingv1.Service:
		dirty[o.Namespace+"/"+o.Name] = true
	case *servingv1.Revision, *corev1.Pod:
		if name := object.GetLabels()[serving.ServiceLabelKey]; name != "" {
			dirty[object.GetNamespace()+"/"+name] = true
		}
	}
}

func (h *hub) readAll(ctx context.Context) {
	state := view.Read(h.store, h.figures, h.now())
	h.publish(ctx, func(turn uint64) {
		left := h.services
		h.services = make(map[string]*entry, len(state.Services))
		for _, svc := range state.Services {
			key := svc.Namespace + "/" + svc.Name
			h.services[key] = &entry{service: svc, changed: turn, counted: turn}
			delete(left, key)
		}
		for key := range left {
			h.gone[key] = turn
		}
	})
}

// refresh reads some services again.
func (h *hub) refresh(ctx context.Context, keys map[string]bool) {
	fresh := make(map[string]*view.Service, len(keys))
	for key := range keys {
		namespace, name := splitKey(key)
		fresh[key] = nil
		if svc, ok := store.Get[*servingv1.Service](h.store, namespace, name); ok {
			one := view.ReadService(h.store, svc, h.figures)
			fresh[key] = &one
		}
	}
	h.publish(ctx, func(turn uint64) {
		for key, svc := range fresh {
			if svc != nil {
				h.services[key] = &entry{service: *svc, changed: turn, counted: turn}
			} else if _, there := h.services[key]; there {
				delete(h.services, key)
				h.gone[key] = turn
			}
		}
	})
}

// count reads the figures of all revisions.
func (h *hub) count(ctx context.Context) {
	h.publish(ctx, func(turn uint64) {
		for key, e := range h.services {
			if fresh := h.counted(e.service); fresh != nil {
				next := *e
				next.service.Revisions, next.counted = fresh, turn
				h.services[key] = &next
			}
		}
	})
}

// counted returns a service's revisions with their figures, nil when these have not
// changed.
func (h *hub) counted(svc view.Service) []view.Revision {
	var fresh []view.Revision
	for i, r := range svc.Revisions {
		requests := h.figures(svc.Namespace, r.Name)
		if requests == r.Requests {
			continue
		}
		if fresh == nil {
			fresh = slices.Clone(svc.Revisions)
		}
		fresh[i].Requests = requests
	}
	return fresh
}

// publish makes a change and wakes the viewers up.
func (h *hub) publish(ctx context.Context, change func(turn uint64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return // another follow may have begun
	}
	h.turn++
	change(h.turn)
	close(h.changed)
	h.changed = make(chan struct{})
}
