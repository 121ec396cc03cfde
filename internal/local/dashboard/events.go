package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/view"
)

const (
	// pingEvery is how often a stream says that it is alive when nothing changes.
	pingEvery = 10 * time.Second
	// writeTimeout is how long a browser may take to receive a message.
	writeTimeout = 10 * time.Second
)

// changes is what has happened since a viewer looked last.
type changes struct {
	At        time.Time      `json:"at"`
	Instances int            `json:"instances"`
	Services  []view.Service `json:"services,omitempty"` // those that have changed
	Removed   []string       `json:"removed,omitempty"`  // NAMESPACE/NAME
	// Requests are those of services of which nothing else has changed.
	Requests map[string]map[string]view.Requests `json:"requests,omitempty"`
}

// since returns what is new to a viewer that has seen turn seen, the turn it has seen
// then, and what the next change closes.
func (h *hub) since(seen uint64) (c changes, turn uint64, next <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.At = h.now()
	for _, key := range slices.Sorted(maps.Keys(h.services)) {
		e := h.services[key]
		c.Instances += e.service.Instances()
		switch {
		case e.changed > seen:
			c.Services = append(c.Services, e.service)
		case e.counted > seen:
			if c.Requests == nil {
				c.Requests = map[string]map[string]view.Requests{}
			}
			c.Requests[key] = requestsOf(e.service)
		}
	}
	for key, turn := range h.gone {
		if _, back := h.services[key]; turn > seen && !back {
			c.Removed = append(c.Removed, key)
		}
	}
	return c, h.turn, h.changed
}

func requestsOf(svc view.Service) map[string]view.Requests {
	out := make(map[string]view.Requests, len(svc.Revisions))
	for _, r := range svc.Revisions {
		out[r.Name] = r.Requests
	}
	return out
}

func splitKey(key string) (namespace, name string) {
	namespace, name, _ = strings.Cut(key, "/")
	return namespace, name
}

// events streams the state, and then what changes. After traffic has ended one more
// message without requests says so.
func (d *Dashboard) events(w http.ResponseWriter, r *http.Request) {
	leave := d.hub.join()
	defer leave()
	select {
	case <-d.hub.ready():
	case <-r.Context().Done():
		return
	}
	out := newStream(w)
	c, seen, next := d.hub.since(0)
	first := view.State{At: c.At, Services: c.Services, Instances: c.Instances}
	if first.Services == nil {
		first.Services = []view.Service{}
	}
	err := out.send("state", first)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for busy := false; err == nil; {
		select {
		case <-next:
			c, seen, next = d.hub.since(seen)
			traffic := len(c.Requests) > 0
			if traffic || busy || len(c.Services)+len(c.Removed) > 0 {
				err = out.send("change", c)
				ping.Reset(pingEvery)
			}
			busy = traffic
		case <-ping.C:
			err = out.send("ping", struct{}{})
		case <-r.Context().Done():
			return
		case <-d.closed:
			return
		}
	}
}

// ready is closed when there is something to show.
func (h *hub) ready() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.started
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "text/event-stream")
	s := &stream{w, http.NewResponseController(w)}
	// A server may bound how long requests take: not these. Where a deadline cannot
	// be set there is none.
	_ = s.control.SetReadDeadline(time.Time{})
	return s
}

// send writes one message. An error means that nobody listens any longer.
func (s *stream) send(event string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var message bytes.Buffer
	fmt.Fprintf(&message, "event: %s\ndata: %s\n\n", event, raw)
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.w.Write(message.Bytes()); err != nil {
		return err
	}
	return s.control.Flush()
}
