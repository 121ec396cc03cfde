package dockerfile

import (
	"fmt"
	"strings"
	"testing"
)

// What a RUN has mounted is no part of its stage, neither for a mount of it nor
// for what is made of that.
func TestStageWithoutStubs(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			p := newProject(t, `FROM scratch AS bin
COPY f /bin/f
FROM busybox AS used
RUN --mount=type=tmpfs,target=/x --mount=type=tmpfs,target=/x/y/z --mount=type=cache,target=/c/d true
FROM busybox
RUN --mount=from=bin,target=/b find /b | sort
RUN --mount=from=used,target=/u ls -Ad /u/x /u/c /u/proc /u/sys /u/etc/hosts /u/etc/resolv.conf 2> /dev/null; true
RUN --mount=from=bin,target=/b tar -cf /all.tar -C /b . && tar -tf /all.tar
COPY --from=bin / /d
`, map[string]string{"f": "x"})
			p.plain = plain
			image := p.must(Options{})
			if got, want := strings.ReplaceAll(p.told.output(), "[2] ", ""), "/b\n/b/bin\n/b/bin/f\n./\n./bin/\n./bin/f"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			files := added(t, image)
			if len(files) != 4 { // all.tar, d, d/bin, d/bin/f
				t.Errorf("files: %q", files)
			}
		})
	}
}
