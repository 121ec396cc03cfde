package cluster

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// FuzzFrames: whatever a server sends is messages, and then one error; a message is
// never larger than what was sent.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		"", "\x82\x03abc", "\x02\x02ab\x89\x01p\x80\x01c\x88\x00", "\x82\x7e\x00\x01a", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01a", "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x82\x81abcdx", "\x83\x01x", "\x8a\x00\x81\x01t", "\x00\x00\x00\x00", "\x88\x02\x03\xe8",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		conn := &buffer{in: bytes.NewReader(raw)}
		s := newSocket(conn, "")
		total := 0
		for {
			message, err := s.receive()
			if err != nil {
				if message != nil {
					t.Errorf("%q with the error %v", message, err)
				}
				if errors.Is(err, io.EOF) && closes(raw) == 0 {
					t.Errorf("%x ends in order without a close frame", raw)
				}
				break
			}
			if total += len(message); total > len(raw) {
				t.Fatalf("%d bytes became more than %d", len(raw), total)
			}
		}
		// A pong answers a ping, and is masked.
		if out := conn.out.Bytes(); len(out) > 0 && (out[0] != frameFinal|framePong || out[1]&frameMasked == 0) {
			t.Errorf("it answers %x", out)
		}
	})
}

// closes counts the bytes that may begin a close frame.
func closes(raw []byte) (n int) {
	for _, b := range raw {
		if b&0x0f == frameClose {
			n++
		}
	}
	return n
}
