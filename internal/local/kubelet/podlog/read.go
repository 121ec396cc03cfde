package podlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// Options say what of a log is read.
type Options struct {
	Follow     bool // until the container has ended
	Timestamps bool
	Since      time.Time
	Tail       int64 // lines from the end; negative: all
	Limit      int64 // bytes; negative: all
	Stream     string
}

// Reader reads a run's log as the container wrote it.
type Reader struct {
	run     *Run
	o       Options
	ctx     context.Context
	cancel  context.CancelFunc
	mu      sync.Mutex // of file: Close comes from elsewhere
	file    *os.File
	lines   *bufio.Reader
	segment int
	since   string
	entry   []byte // read so far, without its end
	ready   []byte // to be handed out
	begun   bool   // the last line handed out has no end yet
	left    int64
}

// state is what a reader has to know before it reads to the end of a file.
type state struct {
	segment int
	closed  bool
	changed <-chan struct{}
}

func (r *Run) state(wait bool) state {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := state{segment: r.segment, closed: r.closed}
	if wait && !r.closed {
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		s.changed = r.changed
	}
	return s
}

// Read returns a reader of what the log has, and with Follow of what it will have.
func (r *Run) Read(o Options) (*Reader, error) {
	reader := &Reader{run: r, o: o, left: o.Limit}
	reader.ctx, reader.cancel = context.WithCancel(context.Background())
	if !o.Since.IsZero() {
		reader.since = o.Since.UTC().Format(stampFormat)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	first := max(0, r.segment-1)
	if o.Tail < 0 {
		return reader, reader.open(first, 0)
	}
	// The newest file, and the one before it where that has too few lines.
	missing := o.Tail
	for segment := r.segment; ; segment-- {
		offset, found, err := tailOffset(r.name(segment), missing)
		if err != nil {
			return nil, err
		}
		if missing -= found; missing == 0 || segment == first {
			return reader, reader.open(segment, offset)
		}
	}
}

// name is the file of one of the last two segments, with r.mu held.
func (r *Run) name(segment int) string {
	if segment < r.segment {
		return r.path + older
	}
	return r.path
}

func (d *Reader) open(segment int, offset int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file != nil {
		_ = d.file.Close()
	}
	if d.ctx.Err() != nil {
		return io.ErrClosedPipe
	}
	file, err := os.Open(d.run.name(segment))
	if err != nil {
		return err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return errors.Join(err, file.Close())
	}
	d.file, d.segment, d.lines = file, segment, bufio.NewReaderSize(file, 32<<10)
	return nil
}

// tailOffset is where the last n lines of a file begin, and how many there are.
func tailOffset(path string, n int64) (offset, found int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, 0, err
	}
	if n == 0 {
		return info.Size(), 0, nil
	}
	block := make([]byte, 64<<10)
	for end := info.Size(); end > 0; {
		from := max(0, end-int64(len(block)))
		part := block[:end-from]
		if _, err := file.ReadAt(part, from); err != nil {
			return 0, 0, err
		}
		for i := len(part) - 1; i >= 0; i-- {
			at := from + int64(i)
			if part[i] != '\n' || at == info.Size()-1 {
				continue
			}
			if found++; found == n {
				return at + 1, found, nil
			}
		}
		end = from
	}
	if info.Size() > 0 {
		found++
	}
	return 0, found, nil
}

// Read implements io.Reader.
func (d *Reader) Read(p []byte) (int, error) {
	for len(d.ready) == 0 {
		if d.left == 0 {
			return 0, io.EOF
		}
		line, ok, err := d.next()
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, io.EOF
		}
		if d.left > 0 {
			line = line[:min(int64(len(line)), d.left)]
			d.left -= int64(len(line))
		}
		d.ready = line
	}
	n := copy(p, d.ready)
	d.ready = d.ready[n:]
	return n, nil
}

// Close ends a Read that waits.
func (d *Reader) Close() error {
	d.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file.Close()
}

// StopWith closes the reader when ctx ends.
func (d *Reader) StopWith(ctx context.Context) { context.AfterFunc(ctx, d.cancel) }

// next returns the next line, or the next part of one; ok is false at the end.
func (d *Reader) next() (line []byte, ok bool, err error) {
	for {
		if d.ctx.Err() != nil {
			return nil, false, io.ErrClosedPipe
		}
		// Asked before reading: what is written from now on wakes the wait below.
		at := d.run.state(d.o.Follow)
		part, err := d.lines.ReadSlice('\n')
		d.entry = append(d.entry, part...)
		switch {
		case err == nil:
			whole := d.entry
			d.entry = nil
			if line, ok := d.format(whole); ok {
				return line, true, nil
			}
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case !errors.Is(err, io.EOF):
			return nil, false, err
		}
		if at.segment > d.segment {
			if err := d.nextSegment(); err != nil {
				return nil, false, err
			}
			continue
		}
		if at.closed || !d.o.Follow {
			return nil, false, nil
		}
		select {
		case <-at.changed:
		case <-d.ctx.Done():
		}
	}
}

func (d *Reader) nextSegment() error {
	d.run.mu.Lock()
	defer d.run.mu.Unlock()
	d.entry = nil
	return d.open(max(d.segment+1, d.run.segment-1), 0)
}

// format turns an entry of the file into what the container wrote.
func (d *Reader) format(entry []byte) (line []byte, ok bool) {
	fields := bytes.SplitN(entry, []byte{' '}, 4)
	if len(fields) < 4 {
		return nil, false
	}
	stamp, stream, tag, text := fields[0], fields[1], fields[2], fields[3]
	if string(stamp) < d.since || d.o.Stream != "" && d.o.Stream != string(stream) {
		return nil, false
	}
	partial := string(tag) == "P"
	if partial {
		text = text[:len(text)-1]
	}
	if d.o.Timestamps && !d.begun {
		text = bytes.Join([][]byte{stamp, text}, []byte{' '})
	}
	d.begun = partial
	return text, true
}
