package store

import (
	"math/rand/v2"

	"knative.dev/serving/pkg/apis/serving"
)

// ownerLabel is the index's own: what owns an object.
const ownerLabel = "owner"

// place is where an object is stored.
type place struct {
	kind *Kind
	key  string
}

// index finds objects by LABEL=VALUE for a few labels, and by their owners.
type index map[string]map[place]struct{}

func indexedLabels() []string {
	return []string{serving.ServiceLabelKey, serving.ConfigurationLabelKey, serving.RevisionLabelKey, serving.RouteLabelKey}
}

func (x index) add(at place, object Object) {
	for _, term := range terms(object) {
		if x[term] == nil {
			x[term] = map[place]struct{}{}
		}
		x[term][at] = struct{}{}
	}
}

func (x index) remove(at place, object Object) {
	for _, term := range terms(object) {
		delete(x[term], at)
		if len(x[term]) == 0 {
			delete(x, term)
		}
	}
}

func terms(object Object) []string {
	var out []string
	labels := object.GetLabels()
	for _, name := range indexedLabels() {
		if value, ok := labels[name]; ok {
			out = append(out, name+"="+value)
		}
	}
	for _, owner := range object.GetOwnerReferences() {
		out = append(out, ownerLabel+"="+string(owner.UID))
	}
	return out
}

func (s *Store) indexed(kind *Kind, namespace, term string) []Object {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Object
	for at := range s.index[term] {
		if object := s.objects[at.kind][at.key]; at.kind == kind && (namespace == "" || object.GetNamespace() == namespace) {
			out = append(out, object)
		}
	}
	sortByName(out)
	return out
}

// generateName is GenerateName with five characters behind it, as a cluster's are.
func (s *Store) generateName(kind *Kind, object Object) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	prefix := object.GetGenerateName()
	prefix = prefix[:min(len(prefix), 63-5)]
	for {
		var suffix [5]byte
		for i := range suffix {
			suffix[i] = letters[rand.IntN(len(letters))]
		}
		name := prefix + string(suffix[:])
		if s.objects[kind][key(object.GetNamespace(), name)] == nil {
			return name
		}
	}
}
