package dockerfile

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestBomb(t *testing.T) {
	for _, tt := range []struct {
		packed, size int64
		bomb         bool
	}{
		{10, 1000, false},         // large by ratio, and small
		{10, 1001, false},         // the same
		{1, 2000, true},           // both
		{100, 20_000, false},      // exactly the ratio
		{100, 20_400, true},       // more
		{1 << 20, 1 << 22, false}, // large, and an archive
	} {
		u := newUnpacked(bytes.NewReader(make([]byte, tt.size)), tt.packed)
		u.limit = max(1000, tt.packed*bombRatio)
		n, err := io.Copy(io.Discard, u)
		if tt.bomb != (err != nil) || err != nil && !strings.Contains(err.Error(), "fill the disk") || err == nil && n != tt.size {
			t.Errorf("%+v: %d bytes, %v", tt, n, err)
		}
	}
}
