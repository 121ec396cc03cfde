package devrun

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing has to change before what has changed is looked at:
	// editors write a file in several steps, and tools many files.
	quiet = 25 * time.Millisecond
	// longest is when it is looked at in any case.
	longest = time.Second
)

// Sources are the files that a program is made of.
type Sources struct {
	Folders []Folder
	Files   []string // absolute: they say what else counts, such as a manifest
}

// Folder is a folder with all that is below it.
type Folder struct {
	Dir string // absolute
	// Skip reports what does not count; below a folder with prune nothing does. Names
	// have slashes and are relative to Dir.
	Skip func(name string, dir bool) (out, prune bool)
}

// watcher hears of changes in sources.
type watcher struct {
	changed chan struct{}     // has one element when something has changed
	events  *fsnotify.Watcher // nil where the system gives none
	stop    chan struct{}
	ended   sync.WaitGroup
	polls   sync.Once // starts to look at all files again and again

	mu       sync.Mutex
	sources  *Sources
	defining bool // one of the sources' Files has changed
}

func newWatcher() *watcher {
	w := &watcher{changed: make(chan struct{}, 1), stop: make(chan struct{}), sources: &Sources{}}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return w // the system has a limit on these, too
	}
	w.events = events
	w.ended.Go(w.listen)
	return w
}

func (w *watcher) close() {
	close(w.stop)
	if w.events != nil {
		// It was only listened to.
		_ = w.events.Close()
	}
	w.ended.Wait()
}

// watch makes sources what is watched, in place of what was. An error says why it
// is slow to hear of changes.
func (w *watcher) watch(sources *Sources) error {
	w.mu.Lock()
	w.sources = sources
	w.mu.Unlock()
	err := w.addAll(sources)
	if err != nil {
		w.startPolling()
	}
	return err
}

// startPolling has all files looked at again and again from now on.
func (w *watcher) startPolling() { w.polls.Do(func() { w.ended.Go(w.poll) }) }

func (w *watcher) addAll(sources *Sources) error {
	if w.events == nil {
		return errors.New("the system gives no more of what tells of changes")
	}
	for _, folder := range sources.Folders {
		if err := w.add(folder, folder.Dir); err != nil {
			return err
		}
	}
	for _, file := range sources.Files {
		// A file is replaced by its editor, so its folder is what lasts.
		if dir := filepath.Dir(file); isDir(dir) {
			if err := w.events.Add(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// add watches a folder and those below it that count.
func (w *watcher) add(folder Folder, at string) error {
	return filepath.WalkDir(at, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone again, or not to be read: the build says so if it matters
		}
		if !entry.IsDir() {
			return nil
		}
		if out, prune := folder.skips(name, true); out {
			if prune {
				return fs.SkipDir
			}
			return nil
		}
		return w.events.Add(name)
	})
}

// skips reports whether the file or folder name does not count.
func (f Folder) skips(name string, dir bool) (out, prune bool) {
	rel, err := filepath.Rel(f.Dir, name)
	switch {
	case err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)):
		return true, true
	case rel == "." || f.Skip == nil:
		return false, false
	}
	return f.Skip(filepath.ToSlash(rel), dir)
}

func (w *watcher) listen() {
	for {
		select {
		case event, ok := <-w.events.Events:
			if !ok {
				return
			}
			w.hear(event)
		case _, ok := <-w.events.Errors:
			if !ok {
				return
			}
			w.note() // events were lost, so anything may have changed
		}
	}
}

func (w *watcher) hear(event fsnotify.Event) {
	if event.Op == fsnotify.Chmod {
		return
	}
	w.mu.Lock()
	sources := w.sources
	w.mu.Unlock()
	defining := slices.Contains(sources.Files, event.Name)
	counts := defining
	for _, folder := range sources.Folders {
		dir := event.Has(fsnotify.Create) && isDir(event.Name)
		if out, _ := folder.skips(event.Name, dir); out {
			continue
		}
		counts = true
		if dir {
			// What was put into it before it was watched counts as well: this event is for all.
			if w.add(folder, event.Name) != nil {
				w.startPolling()
			}
		}
	}
	if !counts {
		return
	}
	if defining {
		w.mu.Lock()
		w.defining = true
		w.mu.Unlock()
	}
	w.note()
}

// note says that something has changed.
func (w *watcher) note() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// settle waits until nothing has changed for a moment; false is the end of ctx.
func (w *watcher) settle(ctx context.Context) bool {
	end := time.NewTimer(longest)
	defer end.Stop()
	for {
		still := time.NewTimer(quiet)
		select {
		case <-w.changed:
			still.Stop()
		case <-still.C:
			return true
		case <-end.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// takeDefining reports whether what says which files count has changed since the
// last call.
func (w *watcher) takeDefining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.defining
	w.defining = false
	return was
}
