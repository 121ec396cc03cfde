// Package clustertest is what kn-lite needs of a cluster, as one suite of tests.
// Real Knative, the embedded platform and every fake that a test puts in their
// place run it, so that a test on a fake says something about a cluster.
//
// The suite comes in parts. Whoever runs it claims the parts that it promises: a
// claimed part never skips, and what is not claimed is logged.
package clustertest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/cluster"
	"github.com/kn-lite/kn-lite/internal/clusterbuild"
	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/traffic"
)

// Part is one thing that kn-lite needs of a cluster.
type Part string

// The parts, with the fields of Target that they use.
const (
	Services   Part = "services"   // create, read, update; defaults and generations: Cluster
	Conflicts  Part = "conflicts"  // one winner for each version: Cluster
	DryRun     Part = "dry-run"    // judged and not stored: Cluster
	Validation Part = "validation" // refusals in Knative's words: Cluster
	Revisions  Part = "revisions"  // names, labels, readiness: Cluster
	Failures   Part = "failures"   // of a revision; what served goes on: Cluster, Break
	Routing    Part = "routing"    // shares and tags in the status: Cluster
	Watches    Part = "watches"    // what is there, and each change: Cluster
	Splits     Part = "splits"     // writes of a split with a precondition: Splits
	Answers    Part = "answers"    // status codes and Status objects: Wire
	Streams    Part = "streams"    // watches on the wire, with bookmarks: Wire
	Expiry     Part = "expiry"     // 410 for what is too long ago: Wire, Expired
	Objects    Part = "objects"    // namespaces, secrets, config maps: Client, Wire
	Deletion   Part = "deletion"   // in the foreground and in the background: Client
	Pods       Part = "pods"       // of revisions, and events about them: Client, Crash
	Logs       Part = "logs"       // tail, follow, previous: Client, Get
	Serving    Part = "serving"    // environment from secrets and config maps: Client, Wire, Get
	Builds     Part = "builds"     // a job's pod, its input and log: Builds, Job
)

// Client is the parts that kn-lite's own client needs of a Kubernetes API server
// which has Knative's kinds and no controllers behind it that run anything.
func Client() []Part {
	return []Part{Services, Conflicts, DryRun, Validation, Splits, Answers, Streams, Objects}
}

// Knative is every part but those that need jobs and a version that has expired.
func Knative() []Part {
	return append(Client(), Revisions, Failures, Routing, Watches, Deletion, Pods, Logs, Serving)
}

// Target is a cluster under test, with a namespace of its own that is empty but for
// what its opener says.
type Target struct {
	Cluster deploy.Cluster
	Splits  traffic.Store
	Builds  clusterbuild.Cluster
	Client  *cluster.Client
	Wire    *Wire

	// Image is what services are made of; with Get it is that of test/e2e/testdata/broken.
	Image string
	// Break changes a service so that its next revision fails and nothing of it runs.
	Break func(*servingv1.Service)
	// Crash changes a service so that the container of its next revision ends by itself.
	Crash func(*servingv1.Service)
	// Get sends a GET request to a function and returns its status and body.
	Get func(ctx context.Context, url, path string) (int, string, error)
	// Expired returns a resource version that is too old to watch from.
	Expired func(t *testing.T) string
	// Split is a service with revisions that end in -v1 and -v2, both ready; "" has
	// the suite make one.
	Split string
	// Job fills in what a pod needs to print "got LINE" for the line that it reads.
	Job func(*corev1.PodSpec)
	// Within is how long a change may take to show; 0 is 10 seconds.
	Within time.Duration
}

// part is one of the tests.
type part struct {
	name  Part
	needs func(*Target) bool
	run   func(*suite)
}

func parts() []part {
	services := func(t *Target) bool { return t.Cluster != nil }
	wire := func(t *Target) bool { return t.Wire != nil }
	client := func(t *Target) bool { return t.Client != nil && t.Wire != nil }
	breaks := func(t *Target) bool { return services(t) && t.Break != nil }
	serves := func(t *Target) bool { return client(t) && t.Get != nil }
	return []part{
		{Services, services, testServices},
		{Conflicts, services, testConflicts},
		{DryRun, services, testDryRun},
		{Validation, services, testValidation},
		{Revisions, services, testRevisions},
		{Failures, breaks, testFailures},
		{Routing, services, testRouting},
		{Watches, services, testWatches},
		{Splits, func(t *Target) bool { return t.Splits != nil && (t.Split != "" || t.Cluster != nil) }, testSplits},
		{Answers, wire, testAnswers},
		{Streams, wire, testStreams},
		{Expiry, func(t *Target) bool { return wire(t) && t.Expired != nil }, testExpiry},
		{Objects, client, testObjects},
		{Deletion, func(t *Target) bool { return client(t) && breaks(t) }, testDeletion},
		{Pods, func(t *Target) bool { return client(t) && t.Crash != nil }, testPods},
		{Logs, serves, testLogs},
		{Serving, serves, testServing},
		{Builds, func(t *Target) bool { return t.Builds != nil && t.Job != nil }, testBuilds},
	}
}

// suite is one part's run on a target.
type suite struct {
	*testing.T
	*Target
	ctx context.Context
}

// Run runs the claimed parts, each on a target of its own.
func Run(t *testing.T, claims []Part, open func(t *testing.T) *Target) {
	t.Helper()
	for _, p := range parts() {
		if !slices.Contains(claims, p.name) {
			t.Logf("%s: not claimed", p.name)
			continue
		}
		t.Run(string(p.name), func(t *testing.T) {
			t.Parallel()
			target := open(t)
			if !p.needs(target) {
				t.Fatalf("%s is claimed, and the target has not what it needs", p.name)
			}
			if target.Within == 0 {
				target.Within = 10 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*target.Within)
			defer cancel()
			p.run(&suite{t, target, ctx})
		})
	}
}

// service is a valid one that is not stored yet.
func (s *suite) service() *servingv1.Service {
	out := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "fn", Namespace: s.namespace()}}
	image := s.Image
	if image == "" {
		image = "registry.example/fn@sha256:" + strings.Repeat("1", 64)
	}
	out.Spec.Template.Spec.Containers = []corev1.Container{{Image: image, Env: []corev1.EnvVar{{Name: "MODE", Value: "ok"}}}}
	return out
}

func (s *suite) namespace() string {
	if s.Cluster == nil {
		return ""
	}
	return s.Cluster.Namespace()
}

// set gives the service's container a variable.
func set(svc *servingv1.Service, name, value string) {
	c := &svc.Spec.Template.Spec.Containers[0]
	for i := range c.Env {
		if c.Env[i].Name == name {
			c.Env[i].Value = value
			return
		}
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
}

func (s *suite) create(edit func(*servingv1.Service)) *servingv1.Service {
	s.Helper()
	svc := s.service()
	if edit != nil {
		edit(svc)
	}
	made, err := s.Cluster.CreateService(s.ctx, svc, false)
	if err != nil {
		s.Fatalf("create: %v", err)
	}
	return made
}

func (s *suite) find() *servingv1.Service {
	s.Helper()
	svc, err := s.Cluster.FindService(s.ctx, "fn")
	if err != nil {
		s.Fatalf("read: %v", err)
	}
	return svc
}

// update edits the service as it is, over whatever controllers write meanwhile.
func (s *suite) update(edit func(*servingv1.Service)) *servingv1.Service {
	s.Helper()
	for range 50 {
		svc := s.find()
		if svc == nil {
			s.Fatal("there is no service to update")
		}
		edit(svc)
		made, err := s.Cluster.UpdateService(s.ctx, svc, false)
		if fault.KindOf(err) == fault.Conflict {
			continue
		}
		if err != nil {
			s.Fatalf("update: %v", err)
		}
		return made
	}
	s.Fatal("50 updates met a conflict")
	return nil
}

// eventually asks until check has no complaint.
func (s *suite) eventually(what string, check func() string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, s.Within)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("%s: not within %s: %s", what, s.Within, complaint)
		case <-again.C:
		}
	}
}

// wantKind checks what kind of error it is, and words in it.
func (s *suite) wantKind(what string, err error, kind fault.Kind, words ...string) {
	s.Helper()
	if err == nil || fault.KindOf(err) != kind {
		s.Errorf("%s: got %v (%v), want %v", what, err, fault.KindOf(err), kind)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			s.Errorf("%s: %q does not say %q", what, err, word)
		}
	}
}
