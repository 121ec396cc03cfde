package podlog

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func begin(t *testing.T, limit int64) *Run {
	t.Helper()
	r, err := Start(filepath.Join(t.TempDir(), "c"), 0, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func read(t *testing.T, r *Run, o Options) string {
	t.Helper()
	reader, err := r.Read(o)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func whole() Options { return Options{Tail: -1, Limit: -1} }

func TestWhatIsWrittenIsRead(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 3000) // 48,000 bytes, three times the longest line
	tests := []struct {
		name   string
		writes []string
		want   string // before the run's end, when that is not all
	}{
		{"lines", []string{"one\n", "two\n"}, "one\ntwo\n"},
		{"several at once", []string{"one\ntwo\nthree\n"}, "one\ntwo\nthree\n"},
		{"a line in pieces", []string{"on", "e\ntw", "o\n"}, "one\ntwo\n"},
		{"empty lines", []string{"\n\n", "x\n"}, "\n\nx\n"},
		{"an end without a newline", []string{"one\n", "begun"}, "one\n"},
		{"a very long line", []string{long + "\n", "next\n"}, long + "\nnext\n"},
		{"a very long line in pieces", []string{long[:20000], long[20000:], "\n"}, long + "\n"},
		{"bytes that are no text", []string{"\x00\xff\x1b[31m\r\n"}, "\x00\xff\x1b[31m\r\n"},
		{"spaces", []string{"  indented  \n"}, "  indented  \n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := begin(t, 0)
			for _, w := range tt.writes {
				if n, err := r.Stdout.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatalf("write: %d, %v", n, err)
				}
			}
			if got := read(t, r, whole()); got != tt.want {
				t.Errorf("read %.80q, want %.80q", got, tt.want)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if got, all := read(t, r, whole()), strings.Join(tt.writes, ""); got != all {
				t.Errorf("read %.80q after the end, want %.80q", got, all)
			}
		})
	}
}

func TestStreamsDoNotMix(t *testing.T) {
	r := begin(t, 0)
	for _, part := range []string{"o", "u", "t\n"} {
		_, _ = r.Stdout.Write([]byte(part))
		_, _ = r.Stderr.Write([]byte("err "))
	}
	_, _ = r.Stderr.Write([]byte("\n"))
	if got := read(t, r, whole()); got != "out\nerr err err \n" {
		t.Errorf("read %q", got)
	}
	if got := read(t, r, Options{Tail: -1, Limit: -1, Stream: "stderr"}); got != "err err err \n" {
		t.Errorf("stderr is %q", got)
	}
}

func TestTailSinceLimitTimestamps(t *testing.T) {
	r := begin(t, 0)
	before := time.Now()
	for i := range 100 {
		fmt.Fprintf(r.Stdout, "line %d\n", i)
	}
	time.Sleep(2 * time.Millisecond)
	middle := time.Now()
	fmt.Fprintf(r.Stdout, "last\n")
	for n, want := range map[int64]string{0: "", 1: "last\n", 3: "line 98\nline 99\nlast\n"} {
		if got := read(t, r, Options{Tail: n, Limit: -1}); got != want {
			t.Errorf("the last %d lines are %q", n, got)
		}
	}
	for _, n := range []int64{101, 1000} {
		if got := strings.Count(read(t, r, Options{Tail: n, Limit: -1}), "\n"); got != 101 {
			t.Errorf("of the last %d lines there are %d", n, got)
		}
	}
	if got := read(t, r, Options{Tail: -1, Limit: -1, Since: middle}); got != "last\n" {
		t.Errorf("since: %q", got)
	}
	if got := read(t, r, Options{Tail: -1, Limit: 9}); got != "line 0\nli" {
		t.Errorf("limited: %q", got)
	}
	if got := read(t, r, Options{Tail: -1, Limit: 0}); got != "" {
		t.Errorf("limited to nothing: %q", got)
	}
	stamp, text, _ := strings.Cut(read(t, r, Options{Tail: 1, Limit: -1, Timestamps: true}), " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil || text != "last\n" || at.Before(before) || at.After(time.Now()) {
		t.Errorf("%q at %v, %v", text, at, err)
	}
}

// A tail must not read the whole file: the newest line is in a file of 10 MiB.
func TestTailOverTwoFiles(t *testing.T) {
	r := begin(t, 4<<10)
	for i := range 300 {
		fmt.Fprintf(r.Stdout, "line %03d\n", i)
	}
	for _, n := range []int{1, 20, 60, 90} {
		got := strings.Fields(strings.ReplaceAll(read(t, r, Options{Tail: int64(n), Limit: -1}), "line ", ""))
		if len(got) != n || got[n-1] != "299" || got[0] != fmt.Sprintf("%03d", 300-n) {
			t.Errorf("the last %d lines are %d, from %q", n, len(got), got[0])
		}
	}
}

func TestDiskIsBounded(t *testing.T) {
	const limit = 8 << 10
	r := begin(t, limit)
	for i := range 5000 {
		fmt.Fprintf(r.Stdout, "line %d\n", i)
	}
	dir := filepath.Dir(r.path)
	if size := sizeOf(t, dir); size > 2*limit {
		t.Errorf("%d bytes are on the disk, at most %d", size, 2*limit)
	}
	if got := read(t, r, whole()); !strings.HasSuffix(got, "line 4998\nline 4999\n") {
		t.Errorf("the end is %q", got[max(0, len(got)-40):])
	}
	_ = r.Close()
	for number := 1; number < 6; number++ {
		next, err := Start(dir, number, limit)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			fmt.Fprintf(next.Stdout, "line %d\n", i)
		}
		_ = next.Close()
	}
	if size := sizeOf(t, dir); size > 4*limit {
		t.Errorf("%d bytes are on the disk after six runs, at most %d", size, 4*limit)
	}
}

func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", e.Name(), info.Mode())
		}
		size += info.Size()
	}
	return size
}

// follow reads lines as they come.
func follow(t *testing.T, r *Run, o Options) (lines <-chan string, stop func()) {
	t.Helper()
	o.Follow = true
	reader, err := r.Read(o)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string)
	go func() {
		defer close(out)
		for scanner := bufio.NewScanner(reader); scanner.Scan(); {
			out <- scanner.Text()
		}
	}()
	return out, func() { reader.Close() }
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			return "(end)"
		}
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("nothing comes")
	}
	return ""
}

func TestFollow(t *testing.T) {
	r := begin(t, 0)
	fmt.Fprintln(r.Stdout, "before")
	lines, _ := follow(t, r, whole())
	if got := next(t, lines); got != "before" {
		t.Fatalf("got %q", got)
	}
	for i := range 50 {
		fmt.Fprintf(r.Stdout, "line %d\n", i)
		if got := next(t, lines); got != fmt.Sprintf("line %d", i) {
			t.Fatalf("got %q", got)
		}
	}
	_ = r.Close()
	if got := next(t, lines); got != "(end)" {
		t.Errorf("after the end: %q", got)
	}
}

func TestFollowOverRotations(t *testing.T) {
	r := begin(t, 2<<10)
	lines, _ := follow(t, r, Options{Tail: 0, Limit: -1})
	for i := range 1000 {
		fmt.Fprintf(r.Stdout, "line %d\n", i)
		if got := next(t, lines); got != fmt.Sprintf("line %d", i) {
			t.Fatalf("got %q instead of line %d", got, i)
		}
	}
	if r.state(false).segment < 5 {
		t.Errorf("there were only %d rotations", r.state(false).segment)
	}
}

// A reader that is slow misses lines; it neither stops nor sees half of one.
func TestFollowTooSlowly(t *testing.T) {
	r := begin(t, 2<<10)
	fmt.Fprintln(r.Stdout, "line -1")
	lines, _ := follow(t, r, whole())
	next(t, lines)
	for i := range 1000 {
		fmt.Fprintf(r.Stdout, "line %d\n", i)
	}
	_ = r.Close()
	last, count := -1, 0
	for line := range lines {
		var n int
		if _, err := fmt.Sscanf(line, "line %d", &n); err != nil || n <= last {
			t.Fatalf("%q after line %d", line, last)
		}
		last, count = n, count+1
	}
	if last != 999 || count < 20 || count > 500 {
		t.Errorf("%d lines, the last is %d", count, last)
	}
}

func TestFollowEndsWithItsReader(t *testing.T) {
	r := begin(t, 0)
	lines, stop := follow(t, r, whole())
	time.Sleep(10 * time.Millisecond)
	stop()
	if got := next(t, lines); got != "(end)" {
		t.Errorf("got %q", got)
	}
	reader, err := r.Read(Options{Follow: true, Tail: -1, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reader.StopWith(ctx)
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := io.ReadAll(reader); err == nil {
		t.Error("the end of the request looks like the end of the log")
	}
}

func TestLast(t *testing.T) {
	r := begin(t, 0)
	for i := range 200 {
		fmt.Fprintf(r.Stderr, "line %d\n", i)
	}
	_ = r.Close()
	if got := r.Last(2, 100); got != "line 198\nline 199\n" {
		t.Errorf("the last two lines are %q", got)
	}
	if got := r.Last(80, 12); got != "98\nline 199\n" {
		t.Errorf("the last 12 bytes are %q", got)
	}
}

// The writer is the container: it must not notice.
func TestLogThatCannotBeWritten(t *testing.T) {
	r := begin(t, 64)
	_ = r.file.Close()
	for range 10 {
		if n, err := r.Stdout.Write([]byte("a line that is lost, and another file that is full\n")); n == 0 || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
}
