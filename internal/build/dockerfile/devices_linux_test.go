package dockerfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// What programs find in /dev, and open again by name, whoever they run as.
func TestDevices(t *testing.T) {
	p := newProject(t, `FROM busybox
RUN set -e; for d in shm mqueue pts; do grep -q " /dev/$d " /proc/mounts; done; \
	for d in shm mqueue; do touch /dev/$d/x; rm /dev/$d/x; done; \
	for d in null zero full random urandom tty ptmx fd stdin stdout stderr; do [ -e /dev/$d ] || [ -L /dev/$d ]; done
RUN echo one | tee /dev/stderr; echo two > /dev/stderr; echo three >> /dev/stdout; ln -s /dev/stderr /log; echo four >> /log
USER 1234:5
RUN echo five | tee /dev/stderr; echo six > /dev/stdout; echo seven >> /log; touch /dev/shm/y
`, nil)
	p.must(Options{})
	if got, want := p.told.output(), "one\none\ntwo\nthree\nfour\nfive\nfive\nsix\nseven"; got != want {
		t.Errorf("the output is %q, want %q", got, want)
	}
}

// OpenShift gives ids of this size.
func TestHighIDs(t *testing.T) {
	p := newProject(t, `FROM busybox
COPY --chown=1000650000:0 f /f
RUN touch /g /h && chown 100001:2147483646 /g && chown -h 70000 /h && [ $(stat -c %u /f) = 1000650000 ]
USER 1000650000:100001
RUN id > /tmp/id; echo x > /tmp/f
`, map[string]string{"f": "x"})
	image, err := p.build(Options{})
	if sandbox.HighestID(os.Getenv("PATH")) < 1<<31-2 || p.told.single {
		t.Skip("not root")
	}
	if err != nil {
		t.Fatal(err)
	}
	wantAdded(t, image, "0 0644 1000650000:0 f = x", "0 0644 100001:2147483646 g", "0 0644 70000:0 h", "5 1777 0:0 tmp",
		"0 0644 1000650000:100001 tmp/f = x", "0 0644 1000650000:100001 tmp/id = uid=1000650000 gid=100001 groups=100001")
}

// Users with few ids hear of it before anything runs.
func TestIDsThatAreNotThere(t *testing.T) {
	for line, want := range map[string]string{
		"USER 70000":                        "Dockerfile:2: USER 70000: id 70000: the highest in this sandbox is 65535",
		"COPY --chown=1000650000:0 f /f":    "Dockerfile:2: --chown=1000650000:0: id 1000650000: the highest in this sandbox is 65535",
		"ADD --chown=app:70000 f /f":        "Dockerfile:2: --chown=app:70000: id 70000: the highest in this sandbox is 65535",
		"USER 65535:65535":                  "",
		"COPY --chown=app f /f":             "",
		"COPY --chown=$ID f /f":             "",
		"USER 99999999999999999999999999:1": "",
	} {
		b := &builder{Spec: Spec{Report: &told{}}, file: DefaultFile, highestID: 65535}
		_, err := b.parse([]byte("FROM scratch\n" + line + "\n"))
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
		// For a build in the cluster the file is only read here.
		b.highestID = 0
		if _, err := b.parse([]byte("FROM scratch\n" + line + "\n")); err != nil {
			t.Errorf("%s, for a build elsewhere: %v", line, err)
		}
	}
}

// What is mounted outlasts the build, or is another stage's: nobody gets another
// user by it. The image's own set-uid programs work.
func TestMountsAreNosuid(t *testing.T) {
	p := newProject(t, `FROM busybox AS other
RUN cp /bin/busybox /b && chmod 6755 /b
FROM busybox
RUN --mount=type=cache,target=/c --mount=type=bind,target=/ctx --mount=from=other,target=/o --mount=type=tmpfs,target=/t \
	grep -E ' /(c|ctx|o|t) ' /proc/mounts | cut -d' ' -f2,4 | sort
RUN grep ' / ' /proc/mounts | cut -d' ' -f4
`, nil)
	p.must(Options{})
	for i, at := range []string{"/c ", "/ctx ", "/o ", "/t "} {
		line := strings.TrimPrefix(p.told.raw[i], "[1] ") // the number of the stage
		if !strings.HasPrefix(line, at) || !strings.Contains(line, "nosuid") || !strings.Contains(line, "nodev") {
			t.Errorf("%s is mounted with %q", at, line)
		}
	}
	if len(p.told.raw) != 5 || strings.Contains(p.told.raw[4], "nosuid") {
		t.Errorf("/ is mounted with %q", p.told.raw[4:])
	}
}

// Two builds at the same time have cache mounts of their own; one after the other
// has the same.
func TestCacheMountsOfTwoBuilds(t *testing.T) {
	p := newProject(t, `FROM busybox
ARG WHO
RUN --mount=type=cache,target=/c [ ! -e /c/n ] || cat /c/n; echo "$WHO" > /c/n; touch /c/is-$WHO; \
	while [ $WHO = first ] && [ ! -e /c/go ]; do sleep 0.1; done; cat /c/n
`, nil)
	q := &project{t: t, dir: p.dir, cache: p.cache, bases: p.bases}
	newProject(t, "FROM busybox\nRUN true\n", nil).must(Options{}) // skips where that is not to be had
	done := make(chan error, 1)
	go func() {
		_, err := p.build(Options{Args: map[string]string{"WHO": "first"}})
		done <- err
	}()
	var here []string
	for range 300 {
		here, _ = filepath.Glob(filepath.Join(p.cache, "sandboxes", "*", "*", "mounts", "*", "is-first"))
		if len(here) == 1 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if len(here) != 1 {
		t.Fatalf("the first build did not come to its RUN: %v", <-done)
	}
	_, err := q.build(Options{Args: map[string]string{"WHO": "second"}})
	err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(here[0]), "go"), nil, 0o644))
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if got := p.told.output() + " " + q.told.output(); got != "first second" {
		t.Errorf("at the same time: %q", got)
	}
	p.must(Options{Args: map[string]string{"WHO": "third"}})
	if got := p.told.output(); got != "first\nthird" {
		t.Errorf("afterwards: %q", got)
	}
}
