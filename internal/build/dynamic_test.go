package build

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// headed is an ELF file with program headers of these kinds.
func headed(bits byte, order binary.ByteOrder, kinds ...uint32) []byte {
	file := append([]byte(elfFile(3, 62, order)), make([]byte, 64*len(kinds))...)
	file[4] = bits
	size := 56
	if bits == 2 {
		order.PutUint64(file[32:], 64)
		order.PutUint16(file[54:], 56)
		order.PutUint16(file[56:], uint16(len(kinds)))
	} else {
		size = 32
		order.PutUint32(file[28:], 64)
		order.PutUint16(file[42:], 32)
		order.PutUint16(file[44:], uint16(len(kinds)))
	}
	for i, kind := range kinds {
		order.PutUint32(file[64+i*size:], kind)
	}
	return file
}

func TestProgramsOnTheBuiltInBaseStandAlone(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	far := headed(2, little, 6, 3)
	little.PutUint64(far[32:], 1<<60)
	tests := []struct {
		name    string
		text    []byte
		refused bool
	}{
		{"static", headed(2, little, 6, 1, 2), false},
		{"dynamic", headed(2, little, 6, 3, 1), true},
		{"dynamic, 32 bits", headed(1, little, 6, 3), true},
		{"dynamic, big endian", headed(2, big, 1, 3), true},
		{"no headers", headed(2, little), false},
		{"headers that are nowhere", far, false},
		{"text", []byte("#!/bin/sh\necho this is no program of a compiler\n"), false},
	}
	for _, tt := range tests {
		r, err := rejectDynamicallyLinked([]layer.File{layer.Bytes("app/function", 0o755, tt.text)})[0].Open()
		if tt.refused {
			if fault.KindOf(err) != fault.Build || fault.HintOf(err) == "" {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := io.ReadAll(r)
		if string(got) != string(tt.text) || err != nil || r.Close() != nil {
			t.Errorf("%s: the content has changed: %v", tt.name, err)
		}
	}
}
