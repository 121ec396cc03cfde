// Package kubestub is a small stand-in for a Kubernetes API server with
// Knative objects in it, for tests of what kn-lite says rather than of what a
// cluster does: that is proven on real Knative in test/e2e. It enforces
// resourceVersion, as client-go's own fake does not, and a write to a service
// is observed at once, as if its controller had no delay.
//
// Annotations on its objects make it misbehave: see the constants.
package kubestub

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

// Annotations that the stub acts upon.
const (
	Meddle = "kubestub/meddle" // JSON: somebody else's spec.traffic, written just ahead of the next update
	Stuck  = "kubestub/stuck"  // any value: no controller looks at this service
	Logs   = "kubestub/logs"   // of a pod: its user container's log
)

// object is decoded JSON.
type object = map[string]any

// Server is an http.Handler.
type Server struct {
	NoKnative bool     // serve no group of Knative's
	Forbid    []string // resources that nobody may touch, e.g. "services"

	mu      sync.Mutex
	version int
	objects map[string]object // by path
}

// New makes a server of a YAML stream of objects.
func New(manifests string) (*Server, error) {
	s := &Server{objects: make(map[string]object), version: 100}
	for i, text := range strings.Split("\n"+manifests, "\n---") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		var o object
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			return nil, fmt.Errorf("object %d: %w", i, err)
		}
		s.objects[pathOf(o)] = s.stamp(o)
	}
	return s, nil
}

func meta(o object) object {
	m, _ := o["metadata"].(object)
	if m == nil {
		m = object{}
		o["metadata"] = m
	}
	return m
}

func text(o object, keys ...string) string {
	for _, k := range keys[:len(keys)-1] {
		o, _ = o[k].(object)
	}
	s, _ := o[keys[len(keys)-1]].(string)
	return s
}

func pathOf(o object) string {
	prefix := "/apis/" + text(o, "apiVersion")
	if !strings.Contains(text(o, "apiVersion"), "/") {
		prefix = "/api/" + text(o, "apiVersion")
	}
	if ns := text(o, "metadata", "namespace"); ns != "" {
		prefix += "/namespaces/" + ns
	}
	plural := strings.ToLower(text(o, "kind")) + "s"
	if strings.HasSuffix(plural, "ss") {
		plural = strings.TrimSuffix(plural, "s") + "es"
	}
	return prefix + "/" + plural + "/" + text(o, "metadata", "name")
}

// stamp gives an object its next version, and its first generation and age.
func (s *Server) stamp(o object) object {
	s.version++
	m := meta(o)
	m["resourceVersion"] = strconv.Itoa(s.version)
	if m["generation"] == nil {
		m["generation"] = 1
	}
	if m["creationTimestamp"] == nil {
		m["creationTimestamp"] = "2026-03-01T12:00:00Z"
	}
	if m["uid"] == nil {
		m["uid"] = "uid-" + text(o, "metadata", "name")
	}
	return o
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if s.NoKnative && strings.Contains(path, "knative.dev/") {
		http.NotFound(w, r)
		return
	}
	for _, resource := range s.Forbid {
		if strings.Contains(path+"/", "/"+resource+"/") {
			refuse(w, http.StatusForbidden, "Forbidden", resource, "", resource+` is forbidden: User "ada" cannot do this`)
			return
		}
	}
	if r.Method == http.MethodGet && r.URL.Query().Get("watch") != "" {
		// Nothing ever happens by itself here.
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if pod, ok := strings.CutSuffix(path, "/log"); ok {
		s.log(w, r, pod)
		return
	}
	found, exists := s.objects[path]
	switch {
	case exists && r.Method == http.MethodGet:
		reply(w, found)
	case exists && r.Method == http.MethodPut:
		s.put(w, r, path, found)
	case exists && r.Method == http.MethodDelete:
		s.remove(found, path)
		reply(w, object{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	case r.Method == http.MethodGet && isCollection(path):
		reply(w, s.list(r, path))
	default:
		parts := strings.Split(path, "/")
		refuse(w, http.StatusNotFound, "NotFound", parts[len(parts)-2], parts[len(parts)-1], parts[len(parts)-2]+` "`+parts[len(parts)-1]+`" not found`)
	}
}

// isCollection tells /…/services from /…/services/hello.
func isCollection(path string) bool {
	_, rest, ok := strings.Cut(path, "/namespaces/")
	if !ok {
		parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
		return strings.HasPrefix(path, "/api/") && len(parts) == 3 || len(parts) == 4
	}
	return strings.Count(rest, "/") == 1
}

func (s *Server) list(r *http.Request, path string) object {
	items := []object{}
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		o := s.objects[key]
		at := key[:strings.LastIndex(key, "/")]
		everywhere := at
		if before, rest, ok := strings.Cut(at, "/namespaces/"); ok {
			everywhere = before + "/" + rest[strings.Index(rest, "/")+1:]
		}
		if (at == path || everywhere == path) && selected(r, o) {
			items = append(items, o)
		}
	}
	version, kind := listKind(path)
	return object{"kind": kind, "apiVersion": version, "metadata": object{"resourceVersion": strconv.Itoa(s.version)}, "items": items}
}

// listKind makes serving.knative.dev/v1 and ServiceList of a collection's path.
func listKind(path string) (version, kind string) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	version = parts[1]
	if parts[0] == "apis" {
		version += "/" + parts[2]
	}
	plural := parts[len(parts)-1]
	singular := strings.TrimSuffix(plural, "s")
	if strings.HasSuffix(plural, "sses") {
		singular = strings.TrimSuffix(plural, "es")
	}
	return version, strings.ToUpper(singular[:1]) + singular[1:] + "List"
}

func selected(r *http.Request, o object) bool {
	if name, ok := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name="); ok && name != text(o, "metadata", "name") {
		return false
	}
	if selector := r.URL.Query().Get("labelSelector"); selector != "" {
		key, value, _ := strings.Cut(selector, "=")
		return text(o, "metadata", "labels", key) == value
	}
	return true
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, path string, stored object) {
	var next object
	if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest", "", "", err.Error())
		return
	}
	if split := text(stored, "metadata", "annotations", Meddle); split != "" {
		annotations, _ := meta(stored)["annotations"].(object)
		delete(annotations, Meddle)
		var traffic any
		if err := json.Unmarshal([]byte(split), &traffic); err != nil {
			refuse(w, http.StatusInternalServerError, "InternalError", "", "", err.Error())
			return
		}
		stored["spec"].(object)["traffic"] = traffic
		s.observe(s.stamp(stored))
	}
	if text(next, "metadata", "resourceVersion") != text(stored, "metadata", "resourceVersion") {
		refuse(w, http.StatusConflict, "Conflict", "services", text(stored, "metadata", "name"), "the object has been modified")
		return
	}
	generation, _ := strconv.Atoi(fmt.Sprint(meta(stored)["generation"]))
	meta(next)["generation"] = generation + 1
	s.objects[path] = s.observe(s.stamp(next))
	reply(w, s.objects[path])
}

// observe is what Knative's controllers do to a service.
func (s *Server) observe(o object) object {
	status, _ := o["status"].(object)
	spec, _ := o["spec"].(object)
	if status == nil || spec == nil || text(o, "metadata", "annotations", Stuck) != "" {
		return o
	}
	status["observedGeneration"] = meta(o)["generation"]
	targets, _ := spec["traffic"].([]any)
	observed := make([]any, 0, len(targets))
	for _, t := range targets {
		target := maps.Clone(t.(object))
		if target["latestRevision"] == true {
			target["revisionName"] = status["latestReadyRevisionName"]
		}
		if tag, _ := target["tag"].(string); tag != "" {
			target["url"] = "http://" + tag + "-" + strings.TrimPrefix(text(status, "url"), "http://")
		}
		observed = append(observed, target)
	}
	status["traffic"] = observed
	return o
}

// remove deletes an object and, of a service, what it owns.
func (s *Server) remove(o object, path string) {
	delete(s.objects, path)
	name := text(o, "metadata", "name")
	maps.DeleteFunc(s.objects, func(_ string, other object) bool {
		return text(other, "metadata", "labels", "serving.knative.dev/service") == name
	})
}

func (s *Server) log(w http.ResponseWriter, r *http.Request, pod string) {
	o, ok := s.objects[pod]
	if !ok {
		refuse(w, http.StatusNotFound, "NotFound", "pods", pod, "pod not found")
		return
	}
	lines := strings.Split(strings.TrimSuffix(text(o, "metadata", "annotations", Logs), "\n"), "\n")
	if n, err := strconv.Atoi(r.URL.Query().Get("tailLines")); err == nil {
		lines = lines[max(0, len(lines)-n):]
	}
	for i, line := range lines {
		fmt.Fprintf(w, "2026-03-01T12:00:%02d.000000001Z %s\n", i%60, line)
	}
}

func reply(w http.ResponseWriter, o object) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o)
}

func refuse(w http.ResponseWriter, code int, reason, kind, name, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message,
		"details": object{"name": name, "kind": kind},
	})
}
