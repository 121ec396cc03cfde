package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const (
	// bookmarkEvery is how often an idle watch says how far it has come.
	bookmarkEvery = 60 * time.Second
	// watchAtLeast is how long a watch lasts whose client does not say; up to twice
	// that, so that clients do not come back at the same time.
	watchAtLeast = 30 * time.Minute
	// sendAbove is how much is collected before it is sent.
	sendAbove = 1 << 20
	// initialEventsEnd marks the bookmark behind the objects that were there already.
	initialEventsEnd = "k8s.io/initial-events-end"
)

// follower is one watch.
type follower struct {
	server    *Server
	r         *request
	w         *response
	chosen    selection
	bookmarks bool
	buffer    bytes.Buffer
	broken    error // the client has gone away
}

func (s *Server) watch(w *response, r *request) error {
	chosen, err := r.selection()
	if err != nil {
		return err
	}
	timeout, err := r.watchTimeout()
	if err != nil {
		return err
	}
	from, initial, err := r.watchStart()
	if err != nil {
		return err
	}
	f := &follower{server: s, r: r, w: w, chosen: chosen, bookmarks: isTrue(r.query.Get("allowWatchBookmarks"))}
	var items []store.Object
	switch {
	case initial:
		items, from = s.store.List(r.kind, r.namespace)
	case from == 0:
		from = s.store.Version()
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	events := s.store.Watch(from)
	if err := s.checkReached(from); err != nil {
		return err
	}
	if err := probe(ctx, events); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(http.StatusOK)
	f.begin(items, from)
	if f.flush() == nil {
		f.follow(ctx, events)
	}
	return nil
}

// checkReached refuses a version that there has never been: it is one of another
// platform, from before everything was purged, and waiting for it would miss all
// that happens until then.
func (s *Server) checkReached(version uint64) error {
	current := s.store.Version()
	if version <= current {
		return nil
	}
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", version, current), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

// probe fails when a watch begins too far back.
func probe(ctx context.Context, events *store.Watch) error {
	over, cancel := context.WithCancel(ctx)
	cancel()
	ahead := *events
	if _, err := ahead.Next(over); apierrors.IsResourceExpired(err) {
		return err
	}
	return nil
}

func (r *request) watchTimeout() (time.Duration, error) {
	seconds, err := number(r, "timeoutSeconds")
	if err != nil {
		return 0, err
	}
	if seconds > 0 {
		return time.Duration(min(seconds, 1<<30)) * time.Second, nil
	}
	return watchAtLeast + rand.N(watchAtLeast), nil
}

// watchStart is the version that a watch begins behind, 0 for the present one, or,
// with initial, all that there is first.
func (r *request) watchStart() (from uint64, initial bool, err error) {
	version, send := r.query.Get("resourceVersion"), r.query.Get("sendInitialEvents")
	if send != "" && r.query.Get("resourceVersionMatch") != "NotOlderThan" {
		return 0, false, badRequest("sendInitialEvents: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
	}
	if version == "" || version == "0" {
		return 0, send == "" || isTrue(send), nil
	}
	from, err = strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0, false, badRequest("resourceVersion: Invalid value: %q: strconv.ParseUint: parsing %q: invalid syntax", version, version)
	}
	return from, isTrue(send), nil
}

// begin sends what is there already.
func (f *follower) begin(items []store.Object, version uint64) {
	for _, item := range items {
		if f.broken == nil && f.chosen.matches(item) {
			f.send(string(store.Added), f.server.show(f.r, item))
		}
	}
	if f.bookmarks && isTrue(f.r.query.Get("sendInitialEvents")) {
		f.bookmark(version, map[string]string{initialEventsEnd: "true"})
	}
}

// follow sends changes until the client goes away or its time is up.
func (f *follower) follow(ctx context.Context, events *store.Watch) {
	due := time.Now().Add(bookmarkEvery)
	for {
		wait, cancel := context.WithDeadline(ctx, due)
		changes, err := events.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, context.DeadlineExceeded):
		case err != nil:
			status := statusOf(err)
			f.send("ERROR", status)
			_ = f.flush()
			return
		}
		for _, change := range changes {
			f.change(change)
		}
		// Also while other kinds change all the time.
		if !time.Now().Before(due) {
			due = time.Now().Add(bookmarkEvery)
			if f.bookmarks {
				f.bookmark(events.Version(), nil)
			}
		}
		if f.flush() != nil {
			return
		}
	}
}

// change sends one change as the selection sees it: what comes to match was
// added, and what no longer does was deleted.
func (f *follower) change(e store.Event) {
	if e.Kind != f.r.kind {
		return
	}
	before := e.Old != nil && f.chosen.matches(e.Old)
	after := e.Change != store.Deleted && f.chosen.matches(e.Object)
	switch {
	case after && before:
		f.send(string(store.Modified), f.server.show(f.r, e.Object))
	case after:
		f.send(string(store.Added), f.server.show(f.r, e.Object))
	case before:
		f.send(string(store.Deleted), f.server.show(f.r, departed(e)))
	}
}

// departed is an object as it left: its last state, under the version of the
// change that took it away, which a client goes on from.
func departed(e store.Event) store.Object {
	if e.Change == store.Deleted {
		return e.Object
	}
	out := copyOf(e.Old)
	out.SetResourceVersion(e.Object.GetResourceVersion())
	return out
}

func (f *follower) bookmark(version uint64, annotations map[string]string) {
	object := f.r.kind.New()
	object.GetObjectKind().SetGroupVersionKind(f.r.kind.GroupVersionKind)
	object.SetResourceVersion(strconv.FormatUint(version, 10))
	object.SetAnnotations(annotations)
	f.send("BOOKMARK", f.server.show(f.r, object))
}

func (f *follower) send(event string, object any) {
	// What is shown was stored, and marshals.
	raw, _ := json.Marshal(struct {
		Type   string `json:"type"`
		Object any    `json:"object"`
	}{event, object})
	f.buffer.Write(raw)
	f.buffer.WriteByte('\n')
	if f.buffer.Len() > sendAbove {
		_ = f.flush()
	}
}

// flush writes what is in the buffer. A client that does not read is let go.
func (f *follower) flush() error {
	if f.broken != nil {
		return f.broken
	}
	f.broken = f.w.send(f.buffer.Bytes())
	f.buffer.Reset()
	return f.broken
}
