// Package view is what the platform does, for people: services, their splits,
// instances and traffic, as the dashboard and the terminal show them.
package view

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// State is everything at one moment.
type State struct {
	At        time.Time `json:"at"`
	Services  []Service `json:"services"`  // by namespace and name
	Instances int       `json:"instances"` // that serve
}

// Service is one service.
type Service struct {
	Namespace       string     `json:"namespace"`
	Name            string     `json:"name"`
	URL             string     `json:"url,omitempty"`
	Ready           string     `json:"ready"` // True, False or Unknown
	Reason          string     `json:"reason,omitempty"`
	Message         string     `json:"message,omitempty"`
	ResourceVersion string     `json:"resourceVersion"` // for changes of the split
	Revisions       []Revision `json:"revisions"`       // the newest first
}

// Revision is one revision of a service.
type Revision struct {
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	Percent  int64     `json:"percent"` // of the traffic, as routed
	Tags     []string  `json:"tags,omitempty"`
	Ready    string    `json:"ready"`
	Reason   string    `json:"reason,omitempty"`
	Message  string    `json:"message,omitempty"`
	Pods     []Pod     `json:"pods,omitempty"`
	Requests Requests  `json:"requests"`
}

// Pod is an instance.
type Pod struct {
	Name     string `json:"name"`
	State    string `json:"state"` // Serving, Starting, Stopping, or why it waits
	Restarts int32  `json:"restarts"`
}

// Requests are those to a revision since the platform has started.
type Requests struct {
	Total    uint64        `json:"total"`
	Failed   uint64        `json:"failed"` // answered with 5xx
	InFlight int           `json:"inFlight"`
	Median   time.Duration `json:"median"` // nanoseconds
	P95      time.Duration `json:"p95"`
}

// Figures knows the requests to a revision.
type Figures func(namespace, revision string) Requests

// Read is the state of all namespaces.
func Read(s *store.Store, figures Figures, now time.Time) State {
	state := State{At: now, Services: []Service{}}
	for _, svc := range store.List[*servingv1.Service](s, "") {
		one := ReadService(s, svc, figures)
		state.Instances += one.Instances()
		state.Services = append(state.Services, one)
	}
	return state
}

// ReadService is the state of one service.
func ReadService(s *store.Store, svc *servingv1.Service, figures Figures) Service {
	out := Service{Namespace: svc.Namespace, Name: svc.Name, ResourceVersion: svc.ResourceVersion, Revisions: []Revision{}}
	if svc.Status.URL != nil {
		out.URL = svc.Status.URL.String()
	}
	out.Ready, out.Reason, out.Message = condition(svc.Status.GetCondition(apis.ConditionReady))
	for _, rev := range store.Labelled[*servingv1.Revision](s, svc.Namespace, serving.ServiceLabelKey, svc.Name) {
		out.Revisions = append(out.Revisions, revision(s, svc, rev, figures))
	}
	slices.SortStableFunc(out.Revisions, func(a, b Revision) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.Name, a.Name))
	})
	return out
}

// Instances is how many of a service's instances serve.
func (s Service) Instances() int {
	sum := 0
	for _, r := range s.Revisions {
		for _, p := range r.Pods {
			if p.State == serves {
				sum++
			}
		}
	}
	return sum
}

func revision(s *store.Store, svc *servingv1.Service, rev *servingv1.Revision, figures Figures) Revision {
	out := Revision{Name: rev.Name, Created: rev.CreationTimestamp.Time, Requests: figures(rev.Namespace, rev.Name)}
	out.Ready, out.Reason, out.Message = condition(rev.Status.GetCondition(apis.ConditionReady))
	for _, t := range svc.Status.Traffic {
		if t.RevisionName != rev.Name {
			continue
		}
		if t.Percent != nil {
			out.Percent += *t.Percent
		}
		if t.Tag != "" {
			out.Tags = append(out.Tags, t.Tag)
		}
	}
	for _, pod := range store.Labelled[*corev1.Pod](s, rev.Namespace, serving.RevisionLabelKey, rev.Name) {
		out.Pods = append(out.Pods, podOf(pod))
	}
	return out
}

const serves = "Serving"

func podOf(pod *corev1.Pod) Pod {
	out := Pod{Name: pod.Name, State: "Starting"}
	if store.IsReady(pod) {
		out.State = serves
	}
	for _, c := range pod.Status.ContainerStatuses {
		out.Restarts += c.RestartCount
		if c.State.Waiting != nil && c.State.Waiting.Reason != "" && c.State.Waiting.Reason != "ContainerCreating" && c.State.Waiting.Reason != "PodInitializing" {
			out.State = c.State.Waiting.Reason
		}
	}
	if pod.DeletionTimestamp != nil {
		out.State = "Stopping"
	}
	return out
}

func condition(c *apis.Condition) (status, reason, message string) {
	if c == nil {
		return string(corev1.ConditionUnknown), "", ""
	}
	return string(c.Status), c.Reason, c.Message
}
