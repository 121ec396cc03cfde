package dockerfile

import (
	"archive/tar"
	"strings"
	"testing"
	"time"
)

// The lists of users are read inside the sandbox, and an image may have anything
// under their names.
func TestUserListsThatAreNoFiles(t *testing.T) {
	tests := []struct {
		name, text string
		list       tar.Header
		want       string
	}{
		{"passwd", "FROM odd\nUSER app\nRUN true\n", tar.Header{Typeflag: tar.TypeFifo, Name: "etc/passwd", Mode: 0o644}, "/etc/passwd: it is a FIFO, not a regular file"},
		{"group", "FROM odd\nUSER 0:staff\nRUN true\n", tar.Header{Typeflag: tar.TypeFifo, Name: "etc/group", Mode: 0o644}, "/etc/group: it is a FIFO, not a regular file"},
		{"link to a device", "FROM odd\nUSER app\nRUN true\n", tar.Header{Typeflag: tar.TypeSymlink, Name: "etc/passwd", Linkname: "/dev/zero", Mode: 0o777}, "/etc/passwd: it is a device, not a regular file"},
		{"owner of COPY", "FROM odd\nCOPY --chown=app a /a\n", tar.Header{Typeflag: tar.TypeFifo, Name: "etc/passwd", Mode: 0o644}, "/etc/passwd: it is a FIFO, not a regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t, tt.text, map[string]string{"a": ""})
			p.bases["odd"] = crafted(t, tt.list)
			start := time.Now()
			_, err := p.build(Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want …%s", err, tt.want)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}
