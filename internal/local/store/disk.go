package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// versionStep is how far the version on the disk is ahead of the one in use: after
// a crash no version is given out twice, though not each is written.
const versionStep = 1 << 20

// disk writes objects behind the back of who changes them: all that is waiting
// goes into one transaction, so that a burst of changes costs one write.
type disk struct {
	db *bolt.DB

	mu      sync.Mutex
	waiting map[place][]byte // nil is a deletion
	ceiling uint64           // versions below it may be used
	batch   *batch           // takes in what is waiting
	begun   chan struct{}    // closed by what is first in a batch
	ended   chan struct{}
	stop    chan struct{}
	once    sync.Once
}

// batch is one transaction to come.
type batch struct {
	first []change // what somebody waits for; it is dropped if the transaction fails
	done  chan struct{}
	err   error
}

// change is what is to be written at a place, nil for a deletion.
type change struct {
	at  place
	raw []byte
}

func openDisk(path string) (d *disk, err error) {
	defer damaged(path, &err)
	// The file is read as memory: what a cut one lacks is a fault of memory.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fault.New(fault.Conflict, "local.store", path, "another process has it open").WithHint("see `kn-lite local status`")
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, damage(path, err)
	case err != nil:
		return nil, fault.New(fault.Failure, "local.store", path, "%w", err)
	}
	return &disk{db: db, waiting: map[place][]byte{}, batch: newBatch(), begun: make(chan struct{}, 1), ended: make(chan struct{}), stop: make(chan struct{})}, nil
}

// damaged makes an error of bolt's panics about a file that is cut or overwritten.
func damaged(path string, err *error) {
	if cause := recover(); cause != nil {
		*err = damage(path, fmt.Errorf("%v", cause))
	}
}

func damage(path string, cause error) error {
	return fault.New(fault.Failure, "local.store", path, "the file is damaged: %w", cause).
		WithHint("`kn-lite local down {Purge}` removes it, with all services; or put a copy in its place")
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (d *disk) abandon(err error) error { return errors.Join(err, d.db.Close()) }

func metaBucket() []byte    { return []byte("meta") }
func versionKey() []byte    { return []byte("version") }
func bucket(k *Kind) []byte { return []byte(k.Resource + "." + k.Group) }

// load fills the store and starts the writer.
func (d *disk) load(s *Store) (err error) {
	defer damaged(d.db.Path(), &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err = d.db.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket())
		if err != nil {
			return err
		}
		if raw := meta.Get(versionKey()); len(raw) == 8 {
			s.version = binary.BigEndian.Uint64(raw)
		}
		d.ceiling = s.version + versionStep
		if err := meta.Put(versionKey(), binary.BigEndian.AppendUint64(nil, d.ceiling)); err != nil {
			return err
		}
		for _, kind := range s.kinds {
			if !kind.Kept {
				continue
			}
			b, err := tx.CreateBucketIfNotExists(bucket(kind))
			if err != nil {
				return err
			}
			if err := b.ForEach(func(k, raw []byte) error { return s.load(kind, string(k), raw) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return damage(d.db.Path(), err)
	}
	go d.writeBatches()
	return nil
}

func (s *Store) load(kind *Kind, name string, raw []byte) error {
	object := kind.New()
	if err := json.Unmarshal(raw, object); err != nil {
		return fmt.Errorf("%s %s: %w", kind.Resource, name, err)
	}
	s.objects[kind][name] = object
	s.index.add(place{kind, name}, object)
	return nil
}

// set notes what is to be written, nil for a deletion. The caller holds the store's lock, so that notes
// are in the order of versions.
func (d *disk) set(at place, raw []byte, version uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	raised := d.raise(version)
	if !at.kind.Kept && !raised {
		return
	}
	if at.kind.Kept {
		d.waiting[at] = raw
	}
	d.begin()
}

// raise reports whether versions have come so near to the ceiling that it rises with
// the next transaction.
func (d *disk) raise(version uint64) bool {
	if version+versionStep/2 <= d.ceiling {
		return false
	}
	d.ceiling = version + versionStep
	return true
}

func (d *disk) begin() {
	select {
	case d.begun <- struct{}{}:
	default:
	}
}

// write writes something, nil for a deletion, and returns when it is on the disk, or
// cannot get there and never will. Nothing else may be set at this place meanwhile.
func (d *disk) write(at place, raw []byte, version uint64) error {
	d.mu.Lock()
	current := d.batch
	current.first = append(current.first, change{at, raw})
	d.raise(version)
	d.begin()
	d.mu.Unlock()
	return d.wait(current)
}

// writeBatches writes one batch after the other until stop.
func (d *disk) writeBatches() {
	defer close(d.ended)
	for {
		select {
		case <-d.begun:
			d.commit()
		case <-d.stop:
			d.commit()
			return
		}
	}
}

func (d *disk) commit() {
	d.mu.Lock()
	waiting, ceiling, current := d.waiting, d.ceiling, d.batch
	d.waiting, d.batch = map[place][]byte{}, newBatch()
	d.mu.Unlock()
	current.err = d.db.Update(func(tx *bolt.Tx) error {
		for at, raw := range waiting {
			if err := apply(tx, change{at, raw}); err != nil {
				return err
			}
		}
		for _, c := range current.first { // these are newer
			if err := apply(tx, c); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket()).Put(versionKey(), binary.BigEndian.AppendUint64(nil, ceiling))
	})
	if current.err != nil {
		d.again(waiting)
	}
	close(current.done)
}

func apply(tx *bolt.Tx, c change) error {
	b := tx.Bucket(bucket(c.at.kind))
	if c.raw == nil {
		return b.Delete([]byte(c.at.key))
	}
	return b.Put([]byte(c.at.key), c.raw)
}

// again puts back what could not be written, unless it has been overtaken.
func (d *disk) again(waiting map[place][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at, raw := range waiting {
		if _, newer := d.waiting[at]; !newer {
			d.waiting[at] = raw
		}
	}
}

// flush returns when all that was set before is on the disk.
func (d *disk) flush() error {
	d.mu.Lock()
	current := d.batch
	d.begin()
	d.mu.Unlock()
	return d.wait(current)
}

// wait returns the end of a batch.
func (d *disk) wait(current *batch) error {
	select {
	case <-current.done:
	case <-d.ended:
		select {
		case <-current.done: // it was the last
		default:
			return fault.New(fault.Failure, "local.store", d.db.Path(), "the store is closed")
		}
	}
	switch err := current.err; {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.New(fault.Failure, "local.store", d.db.Path(), "the disk is full: %w", err).
			WithHint("make room there, and do it again: nothing was changed")
	case err != nil:
		return fault.New(fault.Failure, "local.store", d.db.Path(), "%w", err)
	}
	return nil
}

// close may be called again.
func (d *disk) close() (err error) {
	d.once.Do(func() {
		close(d.stop)
		<-d.ended
		err = d.db.Close()
	})
	return err
}
