// Standin serves the dashboard over objects that tests make, with figures and logs that
// they set: what a browser shows of a thousand services, of hostile names and of faults
// does not need a thousand programs. It listens twice on loopback: for the browser, and
// for the test, which POSTs JSON to /COMMAND.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/dashboard"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/view"
)

const token = "stand-in"

type standin struct {
	store *store.Store

	mu      sync.Mutex
	traffic map[string]*flow    // by NAMESPACE/REVISION
	logs    map[string]*logFile // by NAMESPACE/POD
	lines   int                 // in all logs
}

func main() {
	s := &standin{traffic: map[string]*flow{}, logs: map[string]*logFile{}}
	var err error
	if s.store, err = store.Open(""); err != nil {
		fatal(err)
	}
	go s.follow()
	server := api.New(api.Options{Store: s.store, Token: token})
	page := dashboard.New(dashboard.Options{Store: s.store, Figures: s.figures, Logs: s, API: server, Token: token})
	port := "0"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	address := listen("127.0.0.1:"+port, page)
	control := listen("127.0.0.1:0", http.HandlerFunc(s.control))
	fmt.Printf(`{"url": %q, "base": "http://%s", "token": %q, "control": "http://%s"}`+"\n", dashboard.URL(address, token), address, token, control)
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the test
}

func listen(address string, handler http.Handler) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fatal(err)
	}
	go func() { fatal(http.Serve(l, handler)) }()
	return l.Addr().String()
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// flow is made-up traffic to a revision.
type flow struct {
	since     time.Time
	perSecond float64
	before    float64
	median    time.Duration
	failed    uint64
}

func (s *standin) figures(namespace, revision string) view.Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.traffic[namespace+"/"+revision]
	if f == nil {
		return view.Requests{}
	}
	out := view.Requests{Total: uint64(f.before + f.perSecond*time.Since(f.since).Seconds()), Failed: f.failed, Median: f.median, P95: 3 * f.median}
	if f.perSecond > 0 {
		out.InFlight = 1 + int(f.perSecond*f.median.Seconds())
	}
	return out
}

// command is what a test asks for; each uses the fields that it needs.
type command struct {
	Namespace string           `json:"namespace"`
	Service   string           `json:"service"`
	Revisions map[string]int64 `json:"revisions"` // with their shares
	Tags      map[string]string
	Revision  string  `json:"revision"`
	Ready     string  `json:"ready"`
	Reason    string  `json:"reason"`
	Message   string  `json:"message"`
	URL       string  `json:"url"`
	Pods      int     `json:"pods"`
	State     string  `json:"state"`
	PerSecond float64 `json:"perSecond"`
	MedianMS  float64 `json:"medianMS"`
	Failed    uint64  `json:"failed"`
	Pod       string  `json:"pod"`
	Text      string  `json:"text"`
	Count     int     `json:"count"`
}

func (s *standin) control(w http.ResponseWriter, r *http.Request) {
	c := command{Namespace: "default", Ready: "True"}
	err := json.NewDecoder(r.Body).Decode(&c)
	if err == nil {
		do := map[string]func(command) error{
			"/service": s.setService, "/pods": s.setPods, "/delete": s.remove, "/many": s.many,
			"/traffic": s.setTraffic, "/log": s.log,
		}[r.URL.Path]
		if do == nil {
			err = fmt.Errorf("no command %s", r.URL.Path)
		} else {
			err = do(c)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (s *standin) setTraffic(c command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := c.Namespace + "/" + c.Revision
	f := s.traffic[key]
	if f == nil {
		f = &flow{since: time.Now()}
		s.traffic[key] = f
	}
	f.before += f.perSecond * time.Since(f.since).Seconds()
	f.since, f.perSecond, f.failed = time.Now(), c.PerSecond, c.Failed
	f.median = time.Duration(c.MedianMS * float64(time.Millisecond))
	return nil
}

// logFile is a log that grows.
type logFile struct {
	text    []byte
	changed chan struct{}
}

func (s *standin) file(namespace, pod string) *logFile {
	key := namespace + "/" + pod
	if s.logs[key] == nil {
		s.logs[key] = &logFile{changed: make(chan struct{})}
	}
	return s.logs[key]
}

func (s *standin) log(c command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.file(c.Namespace, c.Pod)
	for line := range strings.Lines(c.Text) {
		s.lines++ // a second later than the one before, whichever instance that was
		at := time.Date(2026, 11, 26, 9, 0, s.lines, 0, time.UTC)
		f.text = append(f.text, at.Format(time.RFC3339Nano)+" "+line...)
	}
	close(f.changed)
	f.changed = make(chan struct{})
	return nil
}

// Logs implements dashboard.Logs.
func (s *standin) Logs(ctx context.Context, namespace, pod string, _ *corev1.PodLogOptions) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() {
		for at := 0; ; {
			s.mu.Lock()
			f := s.file(namespace, pod)
			text, next := f.text[at:], f.changed
			s.mu.Unlock()
			at += len(text)
			if _, err := w.Write(text); err != nil {
				return
			}
			select {
			case <-next:
			case <-ctx.Done():
				w.CloseWithError(ctx.Err())
				return
			}
		}
	}()
	return r, nil
}
