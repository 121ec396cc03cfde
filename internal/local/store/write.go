package store

import (
	"encoding/json"
	"reflect"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// durability is when a change is on the disk.
type durability int

const (
	// soon: readers see the change at once. It is worked out again if it is lost.
	soon durability = iota
	// before: readers see it when it is on the disk, and never if it cannot get there.
	before
)

// Durable makes changes that nobody sees before they are on the disk. Its methods are
// those of Store; they fail, with nothing changed, where the disk does.
type Durable struct{ s *Store }

// Durable returns the store for changes that must not get lost.
func (s *Store) Durable() Durable { return Durable{s} }

// Create is Store.Create.
func (d Durable) Create(object Object) (Object, error) { return d.s.create(object, before) }

// Update is Store.Update.
func (d Durable) Update(object Object) (Object, error) {
	return d.s.replace(object, withStatus, before)
}

// UpdateStatus is Store.UpdateStatus.
func (d Durable) UpdateStatus(object Object) (Object, error) {
	return d.s.replace(object, onlyStatus, before)
}

// Delete is Store.Delete.
func (d Durable) Delete(kind *Kind, namespace, name string, grace int64, preconditions *metav1.Preconditions) (Object, error) {
	return d.s.delete(kind, namespace, name, grace, preconditions, before)
}

// wait waits until no durable write of a place is under way. The caller holds the
// store's lock, which is open meanwhile.
func (s *Store) wait(at place) {
	for {
		over, busy := s.writing[at]
		if !busy {
			return
		}
		s.mu.Unlock()
		<-over
		s.mu.Lock()
	}
}

// persist brings a change to the disk before anybody sees it: raw is nil for a
// deletion. The caller holds the store's lock, which is open meanwhile: nobody else
// changes this place then, and many such changes share one transaction.
func (s *Store) persist(at place, raw []byte, version uint64) error {
	over := make(chan struct{})
	s.writing[at] = over
	s.mu.Unlock()
	err := s.disk.write(at, raw, version)
	s.mu.Lock()
	delete(s.writing, at)
	close(over)
	return err
}

// put stores an object that nobody else has yet. One that is kept is from now on what
// its JSON says, as if it had been read: an empty map, say, is none.
func (s *Store) put(kind *Kind, change Change, object Object, when durability) error {
	at := place{kind, key(object.GetNamespace(), object.GetName())}
	written := uint64(0)
	if when == before && s.disk != nil && kind.Kept {
		// Versions are given out in the order in which changes are seen: this one may
		// get a later one, and is written once more then. Until that it has one that it
		// never had, as others may have had.
		written = s.version + 1
		object.SetResourceVersion(strconv.FormatUint(written, 10))
		if err := s.persist(at, encode(object), written); err != nil {
			return err
		}
	}
	s.version++
	object.SetResourceVersion(strconv.FormatUint(s.version, 10))
	var raw []byte
	if kind.Kept {
		raw = encode(object)
		read := reflect.ValueOf(kind.New())
		if json.Unmarshal(raw, read.Interface()) == nil {
			reflect.ValueOf(object).Elem().Set(read.Elem())
		}
	}
	old := s.objects[kind][at.key]
	if old != nil {
		s.index.remove(at, old)
	}
	s.objects[kind][at.key] = object
	s.index.add(at, object)
	s.log.add(Event{change, s.version, kind, object, old})
	if s.disk != nil && written != s.version {
		s.disk.set(at, raw, s.version)
	}
	return nil
}

// encode is an object's JSON: what was read or checked as JSON is something that JSON
// can hold.
func encode(object Object) []byte {
	raw, err := json.Marshal(object)
	if err != nil {
		panic("an object without JSON: " + err.Error())
	}
	return raw
}

func (s *Store) drop(kind *Kind, object Object, when durability) error {
	at := place{kind, key(object.GetNamespace(), object.GetName())}
	written := when == before && s.disk != nil && kind.Kept
	if written {
		if err := s.persist(at, nil, s.version+1); err != nil {
			return err
		}
	}
	s.version++
	old := s.objects[kind][at.key]
	object.SetResourceVersion(strconv.FormatUint(s.version, 10))
	s.index.remove(at, old)
	delete(s.objects[kind], at.key)
	s.log.add(Event{Deleted, s.version, kind, object, old})
	if s.disk != nil && !written {
		s.disk.set(at, nil, s.version)
	}
	return nil
}
