package control

import "sync"

// target is what a route can send requests to, or is waiting for.
type target struct {
	kind            string
	namespace, name string
}

const (
	kindConfiguration = "Configuration"
	kindRevision      = "Revision"
)

// references knows which routes look at which targets, so that a change of a target
// wakes them, and which targets are marked as a route's. Both would be searches
// through all objects of a namespace otherwise.
type references struct {
	mu      sync.Mutex
	watches relation // set by who works on a route
	marks   relation // read off the targets' annotations
}

// relation is between targets and the names of routes in their namespace.
type relation struct {
	routes  map[target]map[string]bool
	targets map[target]map[target]bool // the key is a route
}

func newRelation() relation {
	return relation{map[target]map[string]bool{}, map[target]map[target]bool{}}
}

func (r relation) add(t target, route string) {
	if r.routes[t] == nil {
		r.routes[t] = map[string]bool{}
	}
	r.routes[t][route] = true
	key := routeKey(t.namespace, route)
	if r.targets[key] == nil {
		r.targets[key] = map[target]bool{}
	}
	r.targets[key][t] = true
}

func (r relation) remove(t target, route string) {
	key := routeKey(t.namespace, route)
	if delete(r.routes[t], route); len(r.routes[t]) == 0 {
		delete(r.routes, t)
	}
	if delete(r.targets[key], t); len(r.targets[key]) == 0 {
		delete(r.targets, key)
	}
}

func routeKey(namespace, name string) target { return target{"Route", namespace, name} }

func newReferences() *references { return &references{watches: newRelation(), marks: newRelation()} }

// watch sets what a route looks at; nothing, for one that is gone.
func (r *references) watch(namespace, route string, targets []target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.watches.targets[routeKey(namespace, route)] {
		r.watches.remove(t, route)
	}
	for _, t := range targets {
		r.watches.add(t, route)
	}
}

// watching returns the routes that look at a target.
func (r *references) watching(t target) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return keys(r.watches.routes[t])
}

// mark sets which routes a target is marked with.
func (r *references) mark(t target, routes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for route := range r.marks.routes[t] {
		r.marks.remove(t, route)
	}
	for _, route := range routes {
		r.marks.add(t, route)
	}
}

// marked returns the targets that are marked with a route.
func (r *references) marked(namespace, route string) []target {
	r.mu.Lock()
	defer r.mu.Unlock()
	return keys(r.marks.targets[routeKey(namespace, route)])
}

func keys[K comparable](m map[K]bool) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
