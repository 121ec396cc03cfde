// Package classfile reads what a Java class says of itself
// (https://docs.oracle.com/javase/specs/jvms/se21/html/jvms-4.html).
package classfile

import (
	"bytes"
	"encoding/binary"
	"io"
)

const (
	accPublicStatic = 0x0001 | 0x0008
	magic           = 0xCAFEBABE
)

// HasMain reports whether a class has `public static void main(String[])`.
func HasMain(class []byte) bool {
	r := &reader{in: bytes.NewReader(class)}
	if r.u4() != magic {
		return false
	}
	r.skip(4)
	text := r.constants()
	r.skip(6) // access, this, super
	r.skip(2 * r.u2())
	for range r.u2() { // fields
		r.skip(6)
		r.attributes()
	}
	for range r.u2() {
		access, name, descriptor := r.u2(), r.u2(), r.u2()
		r.attributes()
		if access&accPublicStatic == accPublicStatic && text[name] == "main" && text[descriptor] == "([Ljava/lang/String;)V" {
			return r.err == nil
		}
		if r.err != nil {
			return false
		}
	}
	return false
}

// reader reads a class, and remembers its first error.
type reader struct {
	in  *bytes.Reader
	err error
}

// bytes returns the next n, and nothing but zeroes when there are fewer.
func (r *reader) bytes(n int) []byte {
	if n > r.in.Len() {
		r.err, n = io.ErrUnexpectedEOF, 0
	}
	out := make([]byte, max(n, 4))
	_, _ = r.in.Read(out[:n]) // all of it is there
	return out
}

func (r *reader) u1() int    { return int(r.bytes(1)[0]) }
func (r *reader) u2() int    { return int(binary.BigEndian.Uint16(r.bytes(2))) }
func (r *reader) u4() int    { return int(binary.BigEndian.Uint32(r.bytes(4))) }
func (r *reader) skip(n int) { r.bytes(n) }

func (r *reader) attributes() {
	for range r.u2() {
		if r.err != nil {
			return
		}
		r.skip(2)
		r.skip(r.u4())
	}
}

// constants are the texts of the constant pool, by number.
func (r *reader) constants() map[int]string {
	text := map[int]string{}
	count := r.u2()
	for i := 1; i < count && r.err == nil; i++ {
		switch tag := r.u1(); tag {
		case 1:
			n := r.u2()
			if raw := r.bytes(n); r.err == nil {
				text[i] = string(raw[:n])
			}
		case 5, 6: // long and double take two numbers
			r.skip(8)
			i++
		case 7, 8, 16, 19, 20:
			r.skip(2)
		case 15:
			r.skip(3)
		case 3, 4, 9, 10, 11, 12, 17, 18:
			r.skip(4)
		default:
			r.err = io.ErrUnexpectedEOF
		}
	}
	return text
}
