package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/coldstart"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/knative"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// How long things may take that Knative does for a cold start.
const (
	copyReadyTimeout = 5 * time.Minute
	zeroTimeout      = 3 * time.Minute
	answerTimeout    = 5 * time.Minute
	removeTimeout    = 20 * time.Second
	// staleCopy is the age of a copy whose run must have been killed.
	staleCopy = time.Hour
	// lateNews is how long after the answer the API server may still report what
	// happened before.
	lateNews = time.Second
)

// ColdStartRequest asks how long a service takes to answer from zero.
type ColdStartRequest struct {
	Target
	Refs    []string // revisions, as in traffic splits; none: @latest
	Rounds  int
	Path    *url.URL // path and query of the requests
	Ingress string   // HOST or HOST:PORT; "" is the setting, then what DNS and the cluster say
}

// ColdStarts is what was measured of one revision.
type ColdStarts struct {
	Revision string
	Image    string
	Rounds   []coldstart.Round
}

// ColdStart measures cold starts of revisions, one after the other, on copies of them
// that are removed again whatever happens: the service itself is not touched.
func (a *App) ColdStart(ctx context.Context, r ColdStartRequest) ([]ColdStarts, error) {
	client, err := a.Cluster(r.Namespace)
	if err != nil {
		return nil, err
	}
	s, err := readRevisions(ctx, client, r.Service)
	if err != nil {
		return nil, err
	}
	if len(r.Refs) == 0 {
		r.Refs = []string{traffic.Latest}
	}
	var wanted []*servingv1.Revision
	for _, ref := range r.Refs {
		rev, err := coldStartable(s, ref)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, rev)
	}
	const services = "services.serving.knative.dev"
	err = client.RequireRights(ctx, "coldstart.preflight", "service/"+r.Service, []cluster.Right{
		{Verb: "create", Resource: services},
		{Verb: "delete", Resource: services},
		{Verb: "list", Resource: services},
		{Verb: "list", Resource: "pods"},
		{Verb: "watch", Resource: "pods"},
	})
	if err != nil {
		return nil, err
	}
	a.removeStaleCopies(ctx, client, r.Service)
	var out []ColdStarts
	for _, rev := range wanted {
		m := &coldStartRun{App: a, client: client, r: r, service: s.service, revision: rev}
		rounds, err := m.run(ctx)
		if err != nil {
			return out, err
		}
		out = append(out, ColdStarts{Revision: rev.Name, Image: knative.Revision(rev).Image, Rounds: rounds})
	}
	return out, nil
}

// coldStartable returns the revision that ref leads to, if it can be at zero.
func coldStartable(s *revisions, ref string) (*servingv1.Revision, error) {
	name, err := oneRevision(s.known, ref)
	if err != nil {
		return nil, err
	}
	rev := s.find(name)
	switch state := knative.Revision(rev); {
	case state.State != traffic.Ready:
		return nil, fault.New(fault.Conflict, "coldstart", "revision/"+name, "it is not ready").
			WithHint("`kn-lite revision describe %s` says why", name)
	case !coldstart.Scales(rev):
		return nil, fault.New(fault.Conflict, "coldstart", "revision/"+name, "its autoscaler does not scale to zero, so it never starts cold").
			WithHint("Knative's own does: autoscaling.knative.dev/class: kpa.autoscaling.knative.dev")
	}
	return rev, nil
}

// removeStaleCopies removes what runs that were killed have left. It is not worth a
// failure.
func (a *App) removeStaleCopies(ctx context.Context, client *cluster.Client, service string) {
	all, err := client.ListServices(ctx, false)
	if err != nil {
		return
	}
	for i := range all {
		if all[i].Labels[coldstart.CopyLabel] == service && a.Now().Sub(all[i].CreationTimestamp.Time) > staleCopy {
			if client.DeleteService(ctx, all[i].Name, false) == nil {
				a.report().Note("removed " + all[i].Name + ", which a measurement that was killed had left")
			}
		}
	}
}

// coldStartRun measures one revision.
type coldStartRun struct {
	*App
	client   *cluster.Client
	r        ColdStartRequest
	service  *servingv1.Service
	revision *servingv1.Revision

	name   string // of the copy
	url    *url.URL
	dialer *ingress.Dialer
}

func (m *coldStartRun) run(ctx context.Context) (rounds []coldstart.Round, err error) {
	m.name = coldstart.CopyName(m.service.Name, strings.ToLower(rand.Text()[:5]))
	task := m.report().Start("starting a copy of "+m.revision.Name, 0)
	defer func() {
		progress.End(task, fmt.Sprintf("measured %d cold starts of %s", len(rounds), m.revision.Name), err)
	}()
	if _, err := m.client.CreateService(ctx, coldstart.Copy(m.service, m.revision, m.name), false); err != nil {
		return nil, err
	}
	defer func() {
		if left := m.remove(ctx); left != nil && err == nil {
			err = left
		} else if left != nil {
			m.report().Warn(fmt.Sprintf("%s is left: %v; remove it with `kn-lite delete %s`", m.name, left, m.name))
		}
	}()
	if err := m.becomeReady(ctx); err != nil {
		return nil, err
	}
	for n := 1; n <= m.r.Rounds; n++ {
		label := fmt.Sprintf("%s, round %d of %d", m.revision.Name, n, m.r.Rounds)
		task.Update(label + ": waiting until it is at zero")
		if err := m.awaitZero(ctx); err != nil {
			return rounds, err
		}
		task.Update(label + ": starting")
		round, err := m.measure(ctx)
		if err != nil {
			return rounds, err
		}
		rounds = append(rounds, round)
	}
	return rounds, nil
}

// remove deletes the copy, also after an interrupt.
func (m *coldStartRun) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	err := m.client.DeleteService(ctx, m.name, false)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

// becomeReady waits until the copy serves, and its host is known to the ingress.
func (m *coldStartRun) becomeReady(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, copyReadyTimeout)
	defer cancel()
	var last *traffic.Snapshot
	err := m.client.Traffic().WatchService(bounded, m.name, func(snap *traffic.Snapshot) (bool, error) {
		last = snap
		return snap.ObservedGeneration >= snap.Generation && snap.Ready != traffic.Unknown, nil
	})
	switch {
	case ctx.Err() == nil && bounded.Err() != nil:
		return m.notReady(ctx, fault.Timeout, last)
	case err != nil:
		return err
	case last.Ready != traffic.Ready:
		return m.notReady(ctx, fault.Partial, last)
	}
	if m.url, err = targetURL(last, traffic.Known{}, "", ""); err != nil {
		return err
	}
	if m.dialer, err = m.App.dialer(m.client, m.name, m.r.Ingress); err != nil {
		return err
	}
	if m.dialer.Private = ingress.IsPrivate(m.url); m.dialer.Private && m.dialer.Fixed == "" && m.Env("KUBERNETES_SERVICE_HOST") == "" {
		return ingress.PrivateError(m.url.Hostname())
	}
	return m.awaitIngress(ctx, m.client, ingressWait{service: m.name, address: m.r.Ingress, hosts: []string{m.url.String()}})
}

// notReady explains a copy that does not start: for example the quota has no room for it.
func (m *coldStartRun) notReady(ctx context.Context, kind fault.Kind, last *traffic.Snapshot) error {
	cause, fix := "no reason was given", ""
	if last != nil && last.LatestCreated != "" {
		if f, err := deploy.Explain(ctx, m.client, m.name, last.LatestCreated, m.Now()); err == nil && f != nil {
			cause, fix = f.Cause, f.Fix
		}
	}
	if last != nil && fix == "" && last.Message != "" {
		cause = last.Message
	}
	return fault.New(kind, "coldstart.copy", "revision/"+m.revision.Name, "a copy of it does not become ready: %s", cause).WithHint("%s", fix)
}

// awaitZero waits until the copy has no pod.
func (m *coldStartRun) awaitZero(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, zeroTimeout)
	defer cancel()
	err := m.client.WatchPods(bounded, m.selector(), func(pods []*corev1.Pod) error {
		if len(pods) == 0 {
			return cluster.ErrStop
		}
		return nil
	})
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fault.New(fault.Timeout, "coldstart.zero", "revision/"+m.revision.Name, "a copy of it was not at zero after %s", zeroTimeout).
			WithHint("is scaling to zero switched off (enable-scale-to-zero in the cluster's config-autoscaler), or does the function take long to stop?")
	}
	return err
}

func (m *coldStartRun) selector() string { return serving.ServiceLabelKey + "=" + m.name }

// measure sends a request to the copy at zero and notes what happens until the answer.
func (m *coldStartRun) measure(ctx context.Context) (coldstart.Round, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	watch := m.watchPods(ctx)
	if err := watch.listening(ctx); err != nil {
		return coldstart.Round{}, err
	}
	asked := m.Now()
	response, err := m.exchange(ctx, InvokeRequest{Path: m.r.Path, Header: http.Header{}}, m.url, m.dialer)
	if err != nil {
		return coldstart.Round{}, err
	}
	answered := m.Now()
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if err != nil {
		return coldstart.Round{}, err
	}
	if response.StatusCode >= http.StatusInternalServerError {
		return coldstart.Round{}, fault.New(fault.Failure, "coldstart", response.URL, "the answer to a cold start is %s", response.Status).
			WithHint("`kn-lite logs %s` has what the function says; a request that it answers with less than 500 can be named by its path", m.service.Name)
	}
	marks := watch.marks(ctx, lateNews)
	marks.Asked, marks.Answered = asked, answered
	if pod := watch.pod(); pod != "" {
		// What may not be read stays part of the start.
		if events, err := m.client.ListEvents(ctx, "Pod", pod); err == nil {
			marks.Pull = coldstart.PullTime(events)
		}
	}
	return coldstart.NewRound(marks), nil
}
