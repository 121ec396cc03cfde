// Package podlog holds what containers write: files in the format that a
// cluster's nodes have (CRI), of bounded size, and readers that follow them.
package podlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultLimit is how large a file becomes before the next one is begun.
	DefaultLimit = 10 << 20
	// longestLine is where a cluster's container runtime splits lines.
	longestLine = 16 << 10
	// stampFormat has nine digits always, so that stamps can be compared as text.
	stampFormat = "2006-01-02T15:04:05.000000000Z07:00"
	older       = ".1"
)

// Run is the output of a container from one start to its end. There are two files
// at most: NUMBER.log and the one before it, NUMBER.log.1.
type Run struct {
	path           string
	limit          int64
	Stdout, Stderr *Stream

	mu      sync.Mutex
	file    *os.File // nil when it is closed, or could not be opened
	size    int64
	segment int // how many files have been full
	closed  bool
	changed chan struct{} // closed by the next change; nil while nobody waits
}

// Stream is stdout or stderr of a Run.
type Stream struct {
	run   *Run
	name  string
	begun []byte // of a line that has no end yet
}

// Start begins the number-th run of a container whose logs are in dir, and
// removes those before the previous one. limit 0 is DefaultLimit.
func Start(dir string, number int, limit int64) (*Run, error) {
	if limit == 0 {
		limit = DefaultLimit
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := forget(dir, number-2); err != nil {
		return nil, err
	}
	r := &Run{path: filepath.Join(dir, strconv.Itoa(number)+".log"), limit: limit}
	r.Stdout, r.Stderr = &Stream{run: r, name: "stdout"}, &Stream{run: r, name: "stderr"}
	file, err := create(r.path)
	if err != nil {
		return nil, err
	}
	r.file = file
	return r, nil
}

func forget(dir string, number int) error {
	for _, ending := range []string{".log", ".log" + older} {
		if err := os.Remove(filepath.Join(dir, strconv.Itoa(number)+ending)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// Write adds to the log. It never fails: a full disk loses output and does not
// stop the program that writes.
func (s *Stream) Write(p []byte) (int, error) {
	r := s.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return len(p), nil
	}
	var out bytes.Buffer
	stamp := time.Now().UTC().Format(stampFormat)
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte{'\n'})
		rest = after
		s.begun = append(s.begun, line...)
		for len(s.begun) > longestLine {
			entry(&out, stamp, s.name, "P", s.begun[:longestLine])
			s.begun = append(s.begun[:0], s.begun[longestLine:]...)
		}
		if whole {
			entry(&out, stamp, s.name, "F", s.begun)
			s.begun = s.begun[:0]
		}
	}
	r.append(out.Bytes())
	return len(p), nil
}

func entry(out *bytes.Buffer, stamp, stream, tag string, text []byte) {
	fmt.Fprintf(out, "%s %s %s ", stamp, stream, tag)
	out.Write(text)
	out.WriteByte('\n')
}

// append writes whole entries, with r.mu held.
func (r *Run) append(entries []byte) {
	if len(entries) == 0 {
		return
	}
	if r.size > 0 && r.size+int64(len(entries)) > r.limit {
		r.rotate()
	}
	if r.file != nil {
		n, err := r.file.Write(entries)
		r.size += int64(n)
		if err != nil && n > 0 {
			// Half an entry would spoil the next one.
			r.size -= int64(n)
			_ = r.file.Truncate(r.size)
			_, _ = r.file.Seek(r.size, 0)
		}
	}
	r.announce()
}

func (r *Run) rotate() {
	if r.file != nil {
		_ = r.file.Close()
	}
	r.file = nil
	if err := os.Rename(r.path, r.path+older); err != nil {
		return
	}
	if file, err := create(r.path); err == nil {
		r.file, r.size = file, 0
	}
	r.segment++
}

func (r *Run) announce() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Close ends the run; a line without an end is kept without one.
func (r *Run) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	stamp := time.Now().UTC().Format(stampFormat)
	for _, s := range []*Stream{r.Stdout, r.Stderr} {
		if len(s.begun) > 0 {
			var out bytes.Buffer
			entry(&out, stamp, s.name, "P", s.begun)
			r.append(out.Bytes())
			s.begun = nil
		}
	}
	r.closed = true
	r.announce()
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Last returns the end of the log: at most so many lines and bytes.
func (r *Run) Last(lines int64, size int) string {
	reader, err := r.Read(Options{Tail: lines, Limit: -1})
	if err != nil {
		return ""
	}
	defer reader.Close()
	var text strings.Builder
	for {
		line, ok, err := reader.next()
		if !ok || err != nil {
			break
		}
		text.Write(line)
	}
	all := text.String()
	return all[max(0, len(all)-size):]
}
