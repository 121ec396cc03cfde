package build

import (
	"encoding/binary"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// elfInterp is the kind of the program header that names the dynamic linker.
const elfInterp = 3

// rejectDynamicallyLinked returns the same files with a check in them: reading a
// program that needs shared libraries is an error. The built-in base has none, and a
// container would only say "no such file or directory".
func rejectDynamicallyLinked(files []layer.File) []layer.File {
	// Linkers put the program headers first.
	return withHeaderCheck(files, 4096, func(f layer.File, head []byte) error {
		if !interpreted(head) {
			return nil
		}
		return fault.New(fault.Build, "build.static", f.Path, "the program is linked with shared libraries, and the built-in base has none").
			WithHint("link it statically, or put it on a base that has them: {BaseImage} REF")
	})
}

// interpreted reports whether the start of a file is that of a program which asks
// for a dynamic linker (https://gabi.xinuos.com/elf/07-pheader.html).
func interpreted(head []byte) bool {
	if len(head) < 64 || string(head[:4]) != "\x7fELF" {
		return false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	at, size, count := uint64(order.Uint32(head[28:])), uint64(order.Uint16(head[42:])), int(order.Uint16(head[44:]))
	if head[4] == 2 { // 64 bits
		at, size, count = order.Uint64(head[32:]), uint64(order.Uint16(head[54:])), int(order.Uint16(head[56:]))
	}
	for range count {
		if at > uint64(len(head))-4 {
			return false
		}
		if order.Uint32(head[at:]) == elfInterp {
			return true
		}
		at += size
	}
	return false
}
