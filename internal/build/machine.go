package build

import (
	"encoding/binary"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// The numbers by which ELF calls machines and kinds of files
// (https://gabi.xinuos.com/elf/a-emachine.html).
const (
	elf386   = 3
	elfProg  = 2
	elfShare = 3
	elfHead  = 20 // bytes up to and with e_machine
)

// machine is what ELF calls a platform, and the words by which folders of
// prebuilt programs call it.
type machine struct {
	number uint16
	words  []string
}

func machines() map[string]machine {
	return map[string]machine{
		"386":     {elf386, []string{"ia32", "i386", "i686", "386", "x86"}},
		"amd64":   {62, []string{"x86_64", "amd64", "x64"}},
		"arm":     {40, []string{"armv6", "armv7", "armhf", "arm"}},
		"arm64":   {183, []string{"aarch64", "arm64"}},
		"ppc64le": {21, []string{"ppc64le", "ppc64"}},
		"riscv64": {243, []string{"riscv64"}},
		"s390x":   {22, []string{"s390x"}},
	}
}

// verified is files whose programs and libraries turn out an error when they are
// read and are for another machine than platform: they could not run, and the
// first to notice would be a user. A file among others of its kind for all
// machines, as packages with prebuilt libraries bring them, is where it belongs.
func verified(files []layer.File, platform v1.Platform) []layer.File {
	want, known := machines()[platform.Architecture]
	if !known || platform.OS != "linux" {
		return files
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Path)
	}
	slices.Sort(names)
	return withHeaderCheck(files, elfHead, func(f layer.File, head []byte) error {
		has, foreign := foreign(head, want.number)
		if !foreign || isPrebuiltSibling(f.Path, has, want, names) {
			return nil
		}
		return fault.New(fault.Build, "build.machine", f.Path, "the file is a program for %s, and the image is for %s", has, platform).
			WithHint("get it for %s, or keep it out of the image with a line in .funcignore", platform)
	})
}

// foreign tells for which architecture a program or library is, if that is
// another one than want. 64-bit x86 runs what is for 32-bit x86.
func foreign(head []byte, want uint16) (arch string, is bool) {
	if len(head) < elfHead || string(head[:4]) != "\x7fELF" {
		return "", false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	kind, number := order.Uint16(head[16:]), order.Uint16(head[18:])
	all := machines()
	if kind != elfProg && kind != elfShare || number == want || number == elf386 && want == all["amd64"].number {
		return "", false
	}
	for arch, m := range all {
		if m.number == number {
			return "linux/" + arch, true
		}
	}
	return "another kind of machine", true
}

// isPrebuiltSibling reports whether name stands in a folder named after the machine has,
// beside one named after the machine that is wanted: prebuilds/linux-arm64 beside
// prebuilds/linux-x64.
func isPrebuiltSibling(name, has string, want machine, names []string) bool {
	folders := strings.Split(path.Dir(name), "/")
	for i, folder := range folders {
		for _, word := range machines()[strings.TrimPrefix(has, "linux/")].words {
			before, after, ok := strings.Cut(folder, word)
			if !ok {
				continue
			}
			for _, wanted := range want.words {
				beside := path.Join(append(slices.Clone(folders[:i]), before+wanted+after)...) + "/"
				at, _ := slices.BinarySearch(names, beside)
				if at < len(names) && strings.HasPrefix(names[at], beside) {
					return true
				}
			}
		}
	}
	return false
}
