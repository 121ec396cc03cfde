package dockerfile

import (
	"errors"
	"fmt"
	"io"
)

// An archive that grows by more than bombRatio is taken for one that is made to
// fill the disk, once it has become large: text shrinks to a tenth, a hundredth is rare.
const (
	bombRatio = 200
	bombSize  = 1 << 30
)

// expandedLimit is how many bytes an archive of so many may expand to: what it
// decompresses to, and what the files in it have in all. The second is more where
// they have holes.
func expandedLimit(packed int64) int64 { return max(bombSize, packed*bombRatio) }

// unpacked reads what an archive of so many bytes decompresses to, and ends with
// an error where that is a bomb.
type unpacked struct {
	tracked
	packed, limit int64
}

func newUnpacked(r io.Reader, packed int64) *unpacked {
	return &unpacked{tracked: tracked{Reader: r}, packed: packed, limit: expandedLimit(packed)}
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.tracked.Read(p)
	if u.got > u.limit {
		u.err = fmt.Errorf("the archive has %d bytes and unpacks to more than %d times as many: it is made to fill the disk", u.packed, bombRatio)
		return 0, u.err
	}
	return n, err
}

// tracked is a reader that knows how much there was and what it ended with. Who reads through a pipe
// sees only that there is no more.
type tracked struct {
	io.Reader
	got int64 // bytes so far
	err error
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.got += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		t.err = err
	}
	return n, err
}
