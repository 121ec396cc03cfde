package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/view"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

const (
	splitSize     = 1 << 20 // of a request, in bytes
	splitAttempts = 5       // while others change the service, and not its split
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
	var moved *movedError
	if errors.As(err, &moved) {
		out.Changes = lines(moved.changes)
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

// movedError means that somebody else has changed the split that was shown.
type movedError struct{ changes []traffic.Change }

func (e *movedError) Error() string {
	if len(e.changes) == 0 {
		return "the service has changed meanwhile"
	}
	return "the split has changed meanwhile: " + traffic.DiffText(e.changes)
}

// setSplit writes a split, unless somebody else has changed the one that was shown.
func (d *Dashboard) setSplit(ctx context.Context, ask splitRequest) (*splitAnswer, error) {
	if ask.ResourceVersion == "" {
		return nil, fault.New(fault.Usage, "dashboard.split", "", "resourceVersion is missing")
	}
	for attempt := 1; ; attempt++ {
		svc, ok := store.Get[*servingv1.Service](d.Store, ask.Namespace, ask.Service)
		if !ok {
			return nil, fault.New(fault.NotFound, "dashboard.split", "service/"+ask.Service, "there is none in namespace %q", ask.Namespace)
		}
		changes, next, err := d.planSplit(svc, ask)
		if err != nil {
			return nil, err
		}
		if len(changes) > 0 {
			svc, err = d.writeSplit(ctx, svc, next)
		}
		if err == nil {
			return &splitAnswer{Changes: lines(changes), Service: view.ReadService(d.Store, svc, d.Figures)}, nil
		}
		if fault.KindOf(err) != fault.Conflict || attempt == splitAttempts {
			return nil, err
		}
	}
}

func lines(changes []traffic.Change) []string {
	out := make([]string, len(changes))
	for i, c := range changes {
		out[i] = c.String()
	}
	return out
}

// planSplit works out the split that a request asks for.
func (d *Dashboard) planSplit(svc *servingv1.Service, ask splitRequest) ([]traffic.Change, traffic.Split, error) {
	known := traffic.Known{
		Service: svc.Name, Split: splitOf(svc.Spec.Traffic).Normal(),
		LatestReady: svc.Status.LatestReadyRevisionName, Revisions: d.revisions(svc),
	}
	// Percentages are those of revisions: what follows the latest one has its name.
	current := shares(known)
	if svc.ResourceVersion != ask.ResourceVersion {
		if changes := traffic.Diff(named(ask.From), current); ask.From == nil || len(changes) > 0 {
			if ask.From == nil {
				changes = nil
			}
			return nil, nil, (&fault.Error{Op: "dashboard.split", Kind: fault.Conflict, Subject: "service/" + svc.Name, Err: &movedError{changes}}).
				WithHint("nothing was changed; its split is now %s", current)
		}
	}
	if named(ask.Targets).Equal(current) {
		return nil, nil, nil // who follows the latest revision goes on doing so
	}
	edit := make([]traffic.Resolved, 0, len(ask.Targets))
	for _, t := range ask.Targets {
		if t.Percent < 0 || t.Percent > 100 {
			return nil, nil, fault.New(fault.Usage, "dashboard.split", t.Revision, "%d is no share: use a whole number from 0 to 100", t.Percent)
		}
		if t.Percent > 0 {
			edit = append(edit, traffic.Resolved{Share: traffic.Share{Ref: t.Revision, Percent: t.Percent}, Target: traffic.Target{Revision: t.Revision}})
		}
	}
	next, changes, err := traffic.Apply(known.Split, edit)
	if err == nil {
		err = traffic.CheckReady(known, next)
	}
	return changes, next, err
}

// shares is the split by revision, without tags.
func shares(known traffic.Known) traffic.Split {
	out := known.Split.Pin(known.LatestReady)
	for i := range out {
		out[i].Tag = ""
	}
	return out.Merge()
}

func named(shares []share) traffic.Split {
	out := make(traffic.Split, len(shares))
	for i, s := range shares {
		out[i] = traffic.Target{Revision: s.Revision, Percent: s.Percent}
	}
	return out
}

func (d *Dashboard) revisions(svc *servingv1.Service) []traffic.Revision {
	var out []traffic.Revision
	for _, rev := range store.Labelled[*servingv1.Revision](d.Store, svc.Namespace, serving.ServiceLabelKey, svc.Name) {
		one := traffic.Revision{Name: rev.Name, Created: rev.CreationTimestamp.Time, State: traffic.Unknown}
		if c := rev.Status.GetCondition(apis.ConditionReady); c != nil {
			one.State, one.Reason, one.Message = traffic.State(c.Status), c.Reason, c.Message
		}
		// A revision without the label counts as the oldest.
		one.Generation, _ = strconv.ParseInt(rev.Labels[serving.ConfigurationGenerationLabelKey], 10, 64)
		out = append(out, one)
	}
	return out
}

func splitOf(targets []servingv1.TrafficTarget) traffic.Split {
	out := make(traffic.Split, 0, len(targets))
	for _, t := range targets {
		one := traffic.Target{Revision: t.RevisionName, Tag: t.Tag, Latest: t.LatestRevision != nil && *t.LatestRevision}
		if t.Percent != nil {
			one.Percent = int(*t.Percent)
		}
		out = append(out, one)
	}
	return out
}

// writeSplit updates the version of the service that the split was worked out from.
// The split that it replaces is remembered, for `kn-lite traffic undo`.
func (d *Dashboard) writeSplit(ctx context.Context, svc *servingv1.Service, split traffic.Split) (*servingv1.Service, error) {
	next := svc.DeepCopy()
	next.APIVersion, next.Kind = servingv1.SchemeGroupVersion.String(), "Service"
	next.Spec.Traffic = nil
	for _, t := range split.Merge() {
		percent, latest := int64(t.Percent), t.Latest
		next.Spec.Traffic = append(next.Spec.Traffic, servingv1.TrafficTarget{RevisionName: t.Revision, Tag: t.Tag, Percent: &percent, LatestRevision: &latest})
	}
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	next.Annotations[traffic.HistoryKey] = traffic.Remember(next.Annotations[traffic.HistoryKey], splitOf(svc.Spec.Traffic).Normal(), d.Now())
	path := "/apis/" + next.APIVersion + "/namespaces/" + url.PathEscape(svc.Namespace) + "/services/" + url.PathEscape(svc.Name)
	var written servingv1.Service
	if err := d.put(ctx, path, next, &written); err != nil {
		return nil, fault.New(err.kind(), "dashboard.split", "service/"+svc.Name, "%s", err.status.Message)
	}
	return &written, nil
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
	answer := &recorder{header: http.Header{}}
	d.API.ServeHTTP(answer, r)
	if answer.status != http.StatusOK {
		out := &refused{metav1.Status{Message: http.StatusText(answer.status)}}
		_ = json.Unmarshal(answer.body.Bytes(), &out.status) // else its code says enough
		out.status.Code = int32(answer.status)               //nolint:gosec // an HTTP status
		return out
	}
	if err := json.Unmarshal(answer.body.Bytes(), into); err != nil {
		return &refused{metav1.Status{Message: err.Error()}}
	}
	return nil
}

// recorder is a response in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

var _ io.Writer = (*recorder)(nil)

// Header implements http.ResponseWriter.
func (a *recorder) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *recorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *recorder) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
