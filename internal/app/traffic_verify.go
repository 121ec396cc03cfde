package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/ingress"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/rollout"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// VerifyRequest asks for requests to a service that show whether its split is what
// they meet.
type VerifyRequest struct {
	Path   string // of the requests, which are GET; "" is /
	Header string // of the answers, which says the name of the revision; "": none does
}

// check refuses a path that is none.
func (v *VerifyRequest) check() error {
	if v == nil {
		return nil
	}
	path, err := url.Parse(v.Path)
	if err != nil || path.Host != "" || path.Path != "" && path.Path[0] != '/' {
		return fault.New(fault.Usage, "traffic.verify", "", "%q is no path for requests", v.Path).WithHint("e.g. /healthz?deep=1")
	}
	return nil
}

// Verified is what the requests have met.
type Verified struct {
	traffic.Fit
	Sample traffic.Sample
	Want   traffic.Split // by revision
	By     string        // how a request's revision is known, for people
}

const (
	verifyAtOnce = 8
	verifyRounds = 5
	// verifyPause is between two samples: an ingress that lags behind has some time.
	verifyPause = 2 * time.Second
	// fingerprintSize is how much of an answer is compared with others.
	fingerprintSize = 64 << 10
)

// verifier sends requests to a service.
type verifier struct {
	*App
	client *cluster.Client
	snap   *traffic.Snapshot
	path   *url.URL
	header string
	dialer func() (*ingress.Dialer, error)
}

// verify samples the route until what it does fits the split: Timeout when it does not,
// Failure when nothing tells which revision has answered.
func (a *App) verify(ctx context.Context, client *cluster.Client, snap *traffic.Snapshot, r SplitRequest) (*Verified, error) {
	path, err := url.Parse(r.Verify.Path)
	if err != nil {
		return nil, err
	}
	v := &verifier{App: a, client: client, snap: snap, path: path, header: r.Verify.Header, dialer: func() (*ingress.Dialer, error) {
		return a.dialer(client, r.Service, r.Ingress)
	}}
	out := &Verified{Want: snap.Spec.Normal().ByRevision(snap.LatestReady)}
	count, by, err := v.counter(ctx, out.Want)
	if err != nil {
		return nil, err
	}
	out.By = by
	n := traffic.SampleSize(out.Want)
	label := fmt.Sprintf("verifying the split of %s by %s", snap.Name, by)
	task := a.report().Start(label, 0)
	for round := 1; ; round++ {
		if out.Sample, err = count(ctx, n); err != nil {
			task.Fail()
			return nil, err
		}
		if out.Fit = out.Sample.Fit(out.Want); out.Good() {
			task.Done(fmt.Sprintf("%s: %s", snap.Name, out.Sample.Text(out.Want)))
			return out, nil
		}
		task.Update(label + ": " + out.Sample.Text(out.Want))
		if round == verifyRounds || backoff.Sleep(ctx, verifyPause) != nil {
			task.Fail()
			return out, fault.New(fault.Timeout, "traffic.verify", "service/"+snap.Name, "requests do not meet the split: %s", out.Sample.Text(out.Want)).
				WithHint("chi-square %.1f, p %.4f, and %.2f at least is wanted; the split is written, and the ingress may lag behind, or somebody else's requests be bound to a revision", out.ChiSquare, out.P, traffic.VerifyLevel)
		}
	}
}

// counter returns what sends n requests and counts them by revision.
func (v *verifier) counter(ctx context.Context, want traffic.Split) (count func(context.Context, int) (traffic.Sample, error), by string, err error) {
	if v.header != "" {
		return func(ctx context.Context, n int) (traffic.Sample, error) {
			return v.sample(ctx, n, func(a answerOf) string { return a.header })
		}, "the answers' header " + v.header, nil
	}
	if v.client.Context() == cluster.LocalContext {
		return v.byMetrics, "the embedded platform's metrics", nil
	}
	known, err := v.fingerprints(ctx, want)
	if err != nil {
		return nil, "", err
	}
	return func(ctx context.Context, n int) (traffic.Sample, error) {
		return v.sample(ctx, n, func(a answerOf) string { return known[a.fingerprint] })
	}, "the answers of their tags", nil
}

// byMetrics lets the platform count. It counts everybody's requests, which are split
// alike; those by tags are left out.
func (v *verifier) byMetrics(ctx context.Context, n int) (traffic.Sample, error) {
	before, err := v.counted(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := v.sample(ctx, n, func(answerOf) string { return "" }); err != nil {
		return nil, err
	}
	after, err := v.counted(ctx)
	for revision, n := range before {
		if after[revision] -= n; after[revision] <= 0 {
			delete(after, revision)
		}
	}
	return after, err
}

// counted is how many requests each revision of the service has had.
func (v *verifier) counted(ctx context.Context) (traffic.Sample, error) {
	text, err := v.client.ServerMetrics(ctx)
	if err != nil {
		return nil, err
	}
	dialect := rollout.KnativeDialect()
	out := traffic.Sample{}
	for _, s := range rollout.ParseText(text, func(name string) bool { return name == dialect.Requests }) {
		if s.Labels["namespace_name"] == v.snap.Namespace && s.Labels["service_name"] == v.snap.Name && s.Labels["route_tag"] == "" {
			out[s.Labels[dialect.Revision]] += int(s.Value)
		}
	}
	return out, nil
}

// fingerprints asks each revision with a share by the URL of its tag, twice. Only
// where each answers always the same, and none as another does, do answers tell who gave them.
func (v *verifier) fingerprints(ctx context.Context, want traffic.Split) (map[string]string, error) {
	known := make(map[string]string)
	for _, t := range want {
		if t.Percent == 0 {
			continue
		}
		at, err := revisionURL(v.snap, t.Revision)
		if err != nil {
			return nil, v.unknowable("%s has no tag, so its answers are not known", t.Revision)
		}
		target, err := url.Parse(at)
		if err != nil {
			return nil, err
		}
		first, err := v.ask(ctx, target)
		if err != nil {
			return nil, err
		}
		second, err := v.ask(ctx, target)
		if err != nil {
			return nil, err
		}
		if first.fingerprint != second.fingerprint {
			return nil, v.unknowable("%s does not answer twice the same", t.Revision)
		}
		if other, taken := known[first.fingerprint]; taken {
			return nil, v.unknowable("%s and %s answer the same", other, t.Revision)
		}
		known[first.fingerprint] = t.Revision
	}
	return known, nil
}

func (v *verifier) unknowable(format string, args ...any) error {
	return fault.New(fault.Failure, "traffic.verify", "service/"+v.snap.Name, "the split is written, and nothing tells which revision a request meets: %w", fmt.Errorf(format, args...)).
		WithHint("Knative's answers do not name their revision: let the function send $K_REVISION in a header of its answers and name that one, " +
			"or give each revision with a share a tag (`kn-lite traffic tag`), if their answers differ")
}

// answerOf is what can be told of an answer.
type answerOf struct{ header, fingerprint string }

// sample sends n requests to the service, and counts them by who answered; an answer of
// nobody's counts for "unknown".
func (v *verifier) sample(ctx context.Context, n int, of func(answerOf) string) (traffic.Sample, error) {
	target, err := url.Parse(v.snap.URL)
	if err != nil || v.snap.URL == "" {
		return nil, fault.New(fault.Partial, "traffic.verify", "service/"+v.snap.Name, "it has no URL yet")
	}
	out := traffic.Sample{}
	var mu sync.Mutex
	group, ctx := parallel.WithContext(ctx)
	group.SetLimit(verifyAtOnce)
	for range n {
		group.Go(func() error {
			answer, err := v.ask(ctx, target)
			if err != nil {
				return err
			}
			name := of(answer)
			if name == "" {
				name = "unknown"
			}
			mu.Lock()
			defer mu.Unlock()
			out[name]++
			return nil
		})
	}
	return out, group.Wait()
}

func (v *verifier) ask(ctx context.Context, target *url.URL) (answerOf, error) {
	dialer, err := v.dialer()
	if err != nil {
		return answerOf{}, err
	}
	if dialer.Private = ingress.IsPrivate(target); dialer.Private && dialer.Fixed == "" && v.Env("KUBERNETES_SERVICE_HOST") == "" {
		return answerOf{}, ingress.PrivateError(target.Hostname())
	}
	response, err := v.exchange(ctx, InvokeRequest{Path: v.path}, target, dialer)
	if err != nil {
		return answerOf{}, err
	}
	defer response.Body.Close()
	hash := sha256.New()
	fmt.Fprintln(hash, response.StatusCode)
	if _, err := io.Copy(hash, io.LimitReader(response.Body, fingerprintSize)); err != nil {
		return answerOf{}, err
	}
	return answerOf{header: response.Header.Get(v.header), fingerprint: string(hash.Sum(nil))}, nil
}
