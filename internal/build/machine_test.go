package build

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// elfFile is the start of an ELF file.
func elfFile(kind, machine uint16, order binary.ByteOrder) string {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	if order == binary.ByteOrder(binary.BigEndian) {
		head[5] = 2
	}
	order.PutUint16(head[16:], kind)
	order.PutUint16(head[18:], machine)
	return string(head)
}

func TestForeignProgramsAreRefused(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	amd64, arm64 := elfFile(3, 62, little), elfFile(2, 183, little)
	tests := []struct {
		name  string
		arch  string
		path  string
		text  string
		more  string // another file of the layer
		wrong string // "" means that the file may be there
	}{
		{"right", "amd64", "app/function", amd64, "", ""},
		{"arm64 in amd64", "amd64", "app/function", arm64, "", "linux/arm64"},
		{"amd64 in arm64", "arm64", "app/node_modules/x/build/Release/x.node", amd64, "", "linux/amd64"},
		{"a wheel's library", "arm64", "dependencies/numpy/_core/x.cpython-311-x86_64-linux-gnu.so", amd64, "", "linux/amd64"},
		{"big endian", "amd64", "a", elfFile(2, 22, big), "", "linux/s390x"},
		{"big endian, right", "s390x", "a", elfFile(2, 22, big), "", ""},
		{"32-bit x86 on amd64", "amd64", "a", elfFile(2, 3, little), "", ""},
		{"unknown machine", "amd64", "a", elfFile(2, 999, little), "", "another kind of machine"},
		{"object file", "amd64", "a.o", elfFile(1, 183, little), "", ""},
		{"text", "amd64", "a.js", strings.Repeat("x", 100), "", ""},
		{"short", "amd64", "a", "\x7fELF", "", ""},
		{"unknown platform", "loong64", "a", arm64, "", ""},
		{"prebuilt for all", "amd64", "app/x/prebuilds/linux-arm64/x.node", arm64, "app/x/prebuilds/linux-x64/x.node", ""},
		{"prebuilt for others only", "amd64", "app/x/prebuilds/linux-arm64/x.node", arm64, "app/x/prebuilds/darwin-x64.js", "linux/arm64"},
		{"package for another machine", "amd64", "app/node_modules/@esbuild/linux-arm64/bin/esbuild", arm64, "app/node_modules/@esbuild/linux-arm64/package.json", "linux/arm64"},
	}
	for _, tt := range tests {
		files := []layer.File{layer.Bytes(tt.path, 0o755, []byte(tt.text)), layer.Dir("app", 0o755)}
		if tt.more != "" {
			files = append(files, layer.Bytes(tt.more, 0o644, nil))
		}
		r, err := verified(files, v1.Platform{OS: "linux", Architecture: tt.arch})[0].Open()
		if tt.wrong != "" {
			want := tt.path + ": the file is a program for " + tt.wrong + ", and the image is for linux/" + tt.arch
			if fault.KindOf(err) != fault.Build || err.Error() != want || fault.HintOf(err) == "" {
				t.Errorf("%s: %v (%v)", tt.name, err, fault.KindOf(err))
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := io.ReadAll(r)
		if string(got) != tt.text || err != nil || r.Close() != nil {
			t.Errorf("%s: the content has changed: %q, %v", tt.name, got, err)
		}
	}
}
