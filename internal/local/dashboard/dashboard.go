// Package dashboard shows in a browser what the embedded platform does: one page that
// is embedded in this program, and live data behind it. `kn-lite local top` and
// `kn-lite local status` read the same data.
//
// It only reads, but for the split of a service, which it changes as every other
// client does: by the API server, with the version that the change is meant for.
package dashboard

import (
	"context"
	"embed"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/view"
)

//go:embed ui
var embedded embed.FS

// Logs reads what the containers of pods print.
type Logs interface {
	// Logs returns the log of one container of a pod; the caller closes it.
	Logs(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error)
}

// Options are what a dashboard needs of the platform.
type Options struct {
	Store   *store.Store
	Figures view.Figures // default: no requests
	Logs    Logs         // nil where nothing runs containers
	API     http.Handler // the API server, for changes of a split
	Token   string       // of the platform; an empty one lets nobody in
	Now     func() time.Time
}

// Dashboard is the handler of everything under http://localhost:PORT that is not the
// registry's.
type Dashboard struct {
	Options
	access access
	hub    *hub
	own    *http.ServeMux
	closed chan struct{}
	// Close ends all streams, which would otherwise hold up the server's end.
	Close func()
}

// New returns a dashboard. Nothing of it runs while nobody looks.
func New(o Options) *Dashboard {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Figures == nil {
		o.Figures = func(string, string) view.Requests { return view.Requests{} }
	}
	d := &Dashboard{Options: o, closed: make(chan struct{}), access: newAccess(o.Token), hub: newHub(o.Store, o.Figures, o.Now), own: http.NewServeMux()}
	d.Close = sync.OnceFunc(func() { close(d.closed) })
	d.own.HandleFunc("GET /{$}", d.page)
	d.own.HandleFunc("GET /ui/{file}", d.asset)
	d.own.HandleFunc("GET /state", d.state)
	d.own.HandleFunc("GET /events", d.events)
	d.own.HandleFunc("GET /logs", d.logs)
	d.own.HandleFunc("POST /split", d.split)
	return d
}

// ServeHTTP implements http.Handler.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if refusal := d.access.check(r); refusal != nil {
		refusal.write(w, r)
		return
	}
	d.own.ServeHTTP(w, r)
}

// page answers the page itself. Whoever came with the key in the URL gets a cookie;
// the page then takes the key out of the address bar. This is no redirect, because a
// browser that follows one from a link on another site leaves strict cookies out.
func (d *Dashboard) page(w http.ResponseWriter, r *http.Request) {
	if d.access.hasKey(r) {
		http.SetCookie(w, d.access.cookie(r))
	}
	d.serve(w, r, "index.html")
}

func (d *Dashboard) asset(w http.ResponseWriter, r *http.Request) {
	d.serve(w, r, r.PathValue("file"))
}

func (d *Dashboard) serve(w http.ResponseWriter, r *http.Request, name string) {
	files, err := fs.Sub(embedded, "ui")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := fs.Stat(files, name); err != nil {
		http.NotFound(w, r)
		return
	}
	http.ServeFileFS(contentType{w, name}, r, files, name)
}

// contentType sets the type by the file's name: the machine's own table of types,
// which http.ServeFileFS would ask, may say anything.
type contentType struct {
	http.ResponseWriter
	name string
}

func (c contentType) WriteHeader(status int) {
	if kind := typeOf(c.name); kind != "" && status == http.StatusOK {
		c.Header().Set("Content-Type", kind)
	}
	c.ResponseWriter.WriteHeader(status)
}

func (d *Dashboard) state(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, view.Read(d.Store, d.Figures, d.Now()))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // who has gone away misses nothing
}
