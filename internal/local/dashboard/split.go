package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/buffered"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/view"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

const (
	splitSize    = 1 << 20         // of a request, in bytes
	splitTimeout = 5 * time.Second // while others change the service, and not its split
	// manager names kn-lite in managedFields, as its commands do.
	manager = "kn-lite"
)

// splitRequest asks for a split. Revisions that it does not name get nothing; tags stay.
type splitRequest struct {
	Namespace       string  `json:"namespace"`
	Service         string  `json:"service"`
	ResourceVersion string  `json:"resourceVersion"` // of the service as it was shown
	Targets         []share `json:"targets"`
	// From is the split that was shown. With it a service that has changed otherwise
	// is no conflict.
	From []share `json:"from,omitempty"`
}

type share struct {
	Revision string `json:"revision"`
	Percent  int    `json:"percent"`
}

type splitAnswer struct {
	Changes []string     `json:"changes"` // none: it was the split already
	Service view.Service `json:"service"`
}

func (d *Dashboard) split(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeJSON(w, http.StatusUnsupportedMediaType, problem{Error: "the body has to be application/json"})
		return
	}
	var ask splitRequest
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, splitSize))
	body.DisallowUnknownFields()
	if err := body.Decode(&ask); err != nil {
		writeJSON(w, http.StatusBadRequest, problem{Error: "the body cannot be read: " + err.Error()})
		return
	}
	answer, err := d.setSplit(r.Context(), ask)
	if err == nil {
		writeJSON(w, http.StatusOK, answer)
		return
	}
	var f *fault.Error
	out := problem{Error: err.Error()}
	if errors.As(err, &f) {
		out.Hint = f.Hint
	}
	var moved *traffic.MovedError
	if errors.As(err, &moved) {
		out.Changes = lines(moved.Changes)
	}
	writeJSON(w, statusOf(err), out)
}

func statusOf(err error) int {
	switch fault.KindOf(err) {
	case fault.Usage:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// setSplit writes a split, unless somebody else has changed the one that was shown.
func (d *Dashboard) setSplit(ctx context.Context, ask splitRequest) (*splitAnswer, error) {
	if ask.ResourceVersion == "" {
		return nil, fault.New(fault.Usage, "dashboard.split", "", "resourceVersion is missing")
	}
	ctx, cancel := context.WithTimeout(ctx, splitTimeout)
	defer cancel()
	result, err := traffic.Update(ctx, splits{d, ask.Namespace}, ask.Service, ask.plan, traffic.Options{Now: d.Now()})
	if err != nil {
		return nil, err
	}
	snap := result.Before
	if result.After != nil {
		snap = result.After
	}
	svc, ok := snap.Origin.(*servingv1.Service)
	if !ok {
		return nil, fault.New(fault.Failure, "dashboard.split", "service/"+ask.Service, "its snapshot has no service")
	}
	return &splitAnswer{Changes: lines(result.Changes), Service: view.ReadService(d.Store, svc, d.Figures)}, nil
}

func lines(changes []traffic.Difference) []string {
	out := make([]string, len(changes))
	for i, c := range changes {
		out[i] = c.String()
	}
	return out
}

// plan works out the split that a request asks for. Percentages are those of
// revisions: what follows the latest one has its name.
func (ask splitRequest) plan(snap *traffic.Snapshot, known traffic.Known) (traffic.Change, error) {
	current := known.Split.ByRevision(known.LatestReady)
	if snap.Version != ask.ResourceVersion {
		if changes := traffic.Diff(named(ask.From), current); ask.From == nil || len(changes) > 0 {
			if ask.From == nil {
				changes = nil
			}
			return traffic.Change{}, (&fault.Error{Op: "dashboard.split", Kind: fault.Conflict, Subject: "service/" + snap.Name, Err: &traffic.MovedError{Changes: changes}}).
				WithHint("nothing was changed; its split is now %s", current)
		}
	}
	if named(ask.Targets).Equal(current) {
		return traffic.Change{}, nil // who follows the latest revision goes on doing so
	}
	edit := make([]traffic.Resolved, 0, len(ask.Targets))
	for _, t := range ask.Targets {
		if t.Percent < 0 || t.Percent > 100 {
			return traffic.Change{}, fault.New(fault.Usage, "dashboard.split", t.Revision, "%d is no share: use a whole number from 0 to 100", t.Percent)
		}
		if t.Percent > 0 {
			edit = append(edit, traffic.Resolved{Share: traffic.Share{Ref: t.Revision, Percent: t.Percent}, Target: traffic.Target{Revision: t.Revision}})
		}
	}
	return known.ApplyReady(edit)
}

func named(shares []share) traffic.Split {
	out := make(traffic.Split, len(shares))
	for i, s := range shares {
		out[i] = traffic.Target{Revision: s.Revision, Percent: s.Percent}
	}
	return out
}

// splits is the platform's services of one namespace in the words of package
// traffic: read from the store, written by the API server.
type splits struct {
	dashboard *Dashboard
	namespace string
}

var _ traffic.Writer = splits{}

// Snapshot implements traffic.Writer.
func (s splits) Snapshot(_ context.Context, service string) (*traffic.Snapshot, error) {
	svc, ok := store.Get[*servingv1.Service](s.dashboard.Store, s.namespace, service)
	if !ok {
		return nil, fault.New(fault.NotFound, "dashboard.split", "service/"+service, "there is none in namespace %q", s.namespace)
	}
	return knative.Snapshot(svc), nil
}

// Revisions implements traffic.Writer.
func (s splits) Revisions(_ context.Context, service string) ([]traffic.Revision, error) {
	var out []traffic.Revision
	for _, rev := range store.Labelled[*servingv1.Revision](s.dashboard.Store, s.namespace, serving.ServiceLabelKey, service) {
		out = append(out, knative.Revision(rev))
	}
	return out, nil
}

// Update implements traffic.Writer.
func (s splits) Update(ctx context.Context, snap *traffic.Snapshot, change traffic.Change) (*traffic.Snapshot, error) {
	svc, ok := snap.Origin.(*servingv1.Service)
	if !ok {
		return nil, fault.New(fault.Failure, "dashboard.split", "service/"+snap.Name, "the snapshot was not read from the platform")
	}
	next := knative.Apply(svc, change)
	next.APIVersion, next.Kind = servingv1.SchemeGroupVersion.String(), "Service"
	path := "/apis/" + next.APIVersion + "/namespaces/" + url.PathEscape(svc.Namespace) + "/services/" + url.PathEscape(svc.Name)
	var written servingv1.Service
	if err := s.dashboard.put(ctx, path, next, &written); err != nil {
		return nil, fault.New(err.kind(), "dashboard.split", "service/"+svc.Name, "%s", err.status.Message)
	}
	return knative.Snapshot(&written), nil
}

// refused is an error of the API server.
type refused struct{ status metav1.Status }

func (e *refused) kind() fault.Kind {
	switch e.status.Code {
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusForbidden:
		return fault.Usage
	}
	return fault.Failure
}

// put asks the API server, in this process.
func (d *Dashboard) put(ctx context.Context, path string, body, into any) *refused {
	raw, err := json.Marshal(body)
	if err != nil {
		return &refused{metav1.Status{Message: err.Error()}}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, path+"?fieldManager="+manager, bytes.NewReader(raw))
	if err != nil {
		return &refused{metav1.Status{Message: err.Error()}}
	}
	r.RequestURI, r.Host, r.RemoteAddr = r.URL.RequestURI(), "localhost", "127.0.0.1:0"
	r.Header.Set("Authorization", "Bearer "+d.Token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	answer := buffered.Serve(d.API, r)
	if answer.Status != http.StatusOK {
		out := &refused{metav1.Status{Message: http.StatusText(answer.Status)}}
		_ = json.Unmarshal(answer.Body.Bytes(), &out.status) // else its code says enough
		out.status.Code = int32(answer.Status)               //nolint:gosec // an HTTP status
		return out
	}
	if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
		return &refused{metav1.Status{Message: err.Error()}}
	}
	return nil
}
