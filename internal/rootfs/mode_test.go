package rootfs

import "testing"

func TestParseMode(t *testing.T) {
	for _, tt := range []struct {
		text      string
		old, want uint32
		dir       bool
	}{
		{text: "755", old: 0o600, want: 0o755},
		{text: "0", old: 0o777, want: 0},
		{text: "04711", old: 0o644, want: 0o4711},
		{text: "+x", old: 0o644, want: 0o755},
		{text: "a+x", old: 0o600, want: 0o711},
		{text: "u+x", old: 0o644, want: 0o744},
		{text: "go-rwx", old: 0o755, want: 0o700},
		{text: "u=rwX,go=rX", old: 0o600, want: 0o644},
		{text: "u=rwX,go=rX", old: 0o700, want: 0o755},
		{text: "u=rwX,go=rX", old: 0o600, want: 0o755, dir: true},
		{text: "a=r", old: 0o755, want: 0o444},
		{text: "g=u", old: 0o750, want: 0o770},
		{text: "o=g-w", old: 0o770, want: 0o775},
		{text: "u+s", old: 0o755, want: 0o4755},
		{text: "g+s", old: 0o755, want: 0o2755},
		{text: "o+s", old: 0o755, want: 0o755},
		{text: "+t", old: 0o777, want: 0o1777, dir: true},
		{text: "u=", old: 0o755, want: 0o055},
		{text: "ug+rw,o-r", old: 0o004, want: 0o660},
	} {
		m, err := ParseMode(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := m.Of(tt.old, tt.dir); got != tt.want {
			t.Errorf("%s of %o: %o, want %o", tt.text, tt.old, got, tt.want)
		}
	}
	for _, text := range []string{"", "x", "u", "u+y", "8", "10000", "u+x,", ",u+x", "u~x", "u+x g+x", "-1", "rwx"} {
		if _, err := ParseMode(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
