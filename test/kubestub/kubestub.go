// Package kubestub is a cluster whose objects are written down beforehand, for tests
// of what kn-lite says rather than of what a cluster does. Its API is the embedded
// platform's over a store in memory, so that it judges, refuses and streams as that
// does; there is nothing behind it but an observer, which takes up what is written to
// a service at once. Nothing runs.
//
// Annotations on its objects make it misbehave: see the constants.
package kubestub

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"

	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// Annotations that the stub acts upon.
const (
	Meddle = "kubestub/meddle" // JSON: somebody else's spec.traffic, written just ahead of the next update
	Stuck  = "kubestub/stuck"  // any value: no controller looks at this service
	Logs   = "kubestub/logs"   // of a pod: its user container's log
)

// token is what the stub wants of its clients.
const token = "stub"

// Server is an http.Handler: see Serve.
type Server struct {
	NoKnative bool     // serve no group of Knative's
	Forbid    []string // resources that nobody may touch, e.g. "services"

	store *store.Store
	api   *api.Server
	// Kinds that the platform does not have, by the path of their collection.
	foreign map[string]*unstructured.UnstructuredList
}

// New makes a server of a YAML stream of objects.
func New(manifests string) (*Server, error) {
	objects, err := store.Open("")
	if err != nil {
		return nil, err
	}
	s := &Server{store: objects, foreign: map[string]*unstructured.UnstructuredList{}}
	s.api = api.New(api.Options{Store: objects, Token: token, User: "ada", Version: "1.0.0", Logs: s})
	for i, text := range strings.Split("\n"+manifests, "\n---") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if err := s.add([]byte(text)); err != nil {
			return nil, fmt.Errorf("object %d: %w", i, err)
		}
	}
	return s, nil
}

// add stores an object as it is, whatever admission would say.
func (s *Server) add(text []byte) error {
	var head metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(text, &head); err != nil {
		return err
	}
	kind := s.kindOf(head.GroupVersionKind())
	if kind == nil {
		return s.addForeign(text)
	}
	object := kind.New()
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		return err
	}
	if err := s.addNamespace(head.Namespace); err != nil || kind.Kind == "Namespace" && s.exists(kind, head.Name) {
		return err
	}
	stored, err := s.store.Create(object)
	if service, ok := stored.(*servingv1.Service); ok && err == nil {
		err = s.age(service, head.Generation)
	}
	return err
}

func (s *Server) kindOf(wanted schema.GroupVersionKind) *store.Kind {
	for _, kind := range s.store.Kinds() {
		if kind.GroupVersionKind == wanted {
			return kind
		}
	}
	return nil
}

func (s *Server) exists(kind *store.Kind, name string) bool {
	_, ok := s.store.Get(kind, "", name)
	return ok
}

func (s *Server) addNamespace(name string) error {
	if name == "" {
		return nil
	}
	_, err := s.store.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// age gives a service its generation: one change of its spec after the other.
func (s *Server) age(service *servingv1.Service, generation int64) error {
	for service.Generation < generation {
		next := service.DeepCopy()
		next.Spec.Template.Annotations = map[string]string{"kubestub/generation": strconv.FormatInt(next.Generation, 10)}
		if next.Generation == generation-1 {
			next.Spec.Template.Annotations = nil
		}
		stored, err := s.store.Update(next)
		if err != nil {
			return err
		}
		service = stored.(*servingv1.Service)
	}
	return nil
}

func (s *Server) addForeign(text []byte) error {
	var o unstructured.Unstructured
	if err := yaml.Unmarshal(text, &o.Object); err != nil {
		return err
	}
	path := fmt.Sprintf("/apis/%s/namespaces/%s/%ss", o.GetAPIVersion(), o.GetNamespace(), strings.ToLower(o.GetKind()))
	list := s.foreign[path]
	if list == nil {
		list = &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": o.GetAPIVersion(), "kind": o.GetKind() + "List", "metadata": map[string]any{"resourceVersion": "1"}}}
		s.foreign[path] = list
	}
	list.Items = append(list.Items, o)
	return nil
}

// Serve starts a server with TLS, and returns a kubeconfig with the contexts stub, of
// the namespace demo, and other. stop ends it.
func (s *Server) Serve() (kubeconfig []byte, stop func()) {
	server := httptest.NewTLSServer(s)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.api.Run(ctx) // ends with its context
	}()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: stub
clusters: [{name: stub, cluster: {server: %q, certificate-authority-data: %s}}]
contexts:
- {name: stub, context: {cluster: stub, user: ada, namespace: demo}}
- {name: other, context: {cluster: stub, user: ada}}
users: [{name: ada, user: {token: %q}}]
`, server.URL, base64.StdEncoding.EncodeToString(ca), token), func() {
			server.CloseClientConnections()
			server.Close()
			cancel()
			<-ended
		}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if s.NoKnative && strings.Contains(path, "knative.dev/") {
		http.NotFound(w, r)
		return
	}
	for _, resource := range s.Forbid {
		if strings.Contains(path+"/", "/"+resource+"/") {
			refuse(w, resource)
			return
		}
	}
	if list := s.foreign[path]; list != nil && r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
		return
	}
	service := s.serviceAt(path)
	switch {
	case service == nil || r.Method == http.MethodGet:
	case r.Method == http.MethodDelete:
		s.removeOwned(service)
	default:
		if err := s.meddle(service); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	s.api.ServeHTTP(w, r)
	if service != nil && r.Method != http.MethodGet {
		s.observe(service.Namespace, service.Name)
	}
}

func refuse(w http.ResponseWriter, resource string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
		Message: resource + ` is forbidden: User "ada" cannot do this`, Details: &metav1.StatusDetails{Kind: resource},
	})
}

// serviceAt returns the service that a path names, nil where it names none.
func (s *Server) serviceAt(path string) *servingv1.Service {
	rest, ok := strings.CutPrefix(path, "/apis/serving.knative.dev/v1/namespaces/")
	namespace, rest, _ := strings.Cut(rest, "/services/")
	if !ok || rest == "" || strings.Contains(rest, "/") {
		return nil
	}
	service, _ := store.Get[*servingv1.Service](s.store, namespace, rest)
	return service
}

// meddle writes what somebody else wants, once.
func (s *Server) meddle(service *servingv1.Service) error {
	split := service.Annotations[Meddle]
	if split == "" {
		return nil
	}
	next := service.DeepCopy()
	delete(next.Annotations, Meddle)
	next.Spec.Traffic = nil
	if err := json.Unmarshal([]byte(split), &next.Spec.Traffic); err != nil {
		return err
	}
	if _, err := s.store.Update(next); err != nil {
		return err
	}
	s.observe(service.Namespace, service.Name)
	return nil
}

// observe does what Knative's controllers do to the split of a service that has a status.
func (s *Server) observe(namespace, name string) {
	service, ok := store.Get[*servingv1.Service](s.store, namespace, name)
	if !ok || service.Annotations[Stuck] != "" || service.Status.ObservedGeneration == service.Generation {
		return
	}
	next := service.DeepCopy()
	next.Status.ObservedGeneration = next.Generation
	next.Status.Traffic = nil
	for _, target := range next.Spec.Traffic {
		if target.LatestRevision != nil && *target.LatestRevision {
			target.RevisionName = next.Status.LatestReadyRevisionName
		}
		if target.Tag != "" && next.Status.URL != nil {
			target.URL = next.Status.URL.DeepCopy()
			target.URL.Host = target.Tag + "-" + target.URL.Host
		}
		next.Status.Traffic = append(next.Status.Traffic, target)
	}
	_, _ = s.store.UpdateStatus(next) // somebody else's write is observed by its own
}

// removeOwned deletes what belongs to a service.
func (s *Server) removeOwned(service *servingv1.Service) {
	for _, kind := range s.store.Kinds() {
		items, _ := s.store.List(kind, service.Namespace)
		for _, item := range items {
			if item.GetLabels()[serving.ServiceLabelKey] == service.Name {
				_, _ = s.store.Delete(kind, service.Namespace, item.GetName(), 0, nil)
			}
		}
	}
}

// Logs implements api.Logs with what a pod's annotation says.
func (s *Server) Logs(_ context.Context, namespace, name string, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	pod, ok := store.Get[*corev1.Pod](s.store, namespace, name)
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
	}
	lines := strings.SplitAfter(pod.Annotations[Logs], "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "" })
	if o.TailLines != nil {
		lines = lines[max(0, len(lines)-int(*o.TailLines)):]
	}
	if o.Timestamps {
		for i := range lines {
			lines[i] = time.Date(2026, 3, 1, 12, 0, i, 1, time.UTC).Format(time.RFC3339Nano) + " " + lines[i]
		}
	}
	return io.NopCloser(strings.NewReader(strings.Join(lines, ""))), nil
}
