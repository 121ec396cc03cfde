package dockerfile

import (
	"fmt"
	"io"
)

// An archive that grows by more than bombRatio is taken for one that is made to
// fill the disk, once it has become large: text shrinks to a tenth, a hundredth is rare.
const (
	bombRatio = 200
	bombSize  = 1 << 30
)

// unpacked reads what an archive of so many bytes decompresses to, and ends with
// an error where that is a bomb.
type unpacked struct {
	io.Reader
	packed, got int64
	floor       int64
	err         error // what it ended with
}

func newUnpacked(r io.Reader, packed int64) *unpacked {
	return &unpacked{Reader: r, packed: packed, floor: bombSize}
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	u.got += int64(n)
	if u.got > u.floor && u.got/bombRatio > u.packed {
		u.err = fmt.Errorf("the archive has %d bytes and unpacks to more than %d times as many: it is made to fill the disk", u.packed, bombRatio)
		return 0, u.err
	}
	return n, err
}
