package rust

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// having is a toolchain for x86-64 Linux with the libraries of these targets.
func having(t *testing.T, names ...string) *toolchain {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		langtest.Write(t, root, map[string]string{"lib/rustlib/" + name + "/lib/libstd-1.rlib": ""})
	}
	langtest.Write(t, root, map[string]string{"lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld": ""})
	return &toolchain{sysroot: root, host: "x86_64-unknown-linux-gnu"}
}

func TestTargetFor(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("programs have other names there")
	}
	compilers := t.TempDir()
	if err := os.WriteFile(filepath.Join(compilers, "aarch64-linux-gnu-gcc"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	const gnu, musl, arm, armMusl = "x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl"
	tests := []struct {
		name, arch string
		std        []string
		path       string
		set        []string // variables
		want       target
		wrong      string
		hint       string
	}{
		{name: "musl first", arch: "amd64", std: []string{gnu, musl}, want: target{triple: musl}},
		{name: "this machine's C library", arch: "amd64", std: []string{gnu}, want: target{triple: gnu}},
		{name: "as set", arch: "amd64", std: []string{gnu, musl}, set: []string{"CARGO_BUILD_TARGET=" + gnu}, want: target{triple: gnu}},
		{name: "set for another platform", arch: "amd64", std: []string{gnu, musl}, set: []string{"CARGO_BUILD_TARGET=" + arm}, want: target{triple: musl}},
		{name: "another machine's musl", arch: "arm64", std: []string{gnu, armMusl}, want: target{triple: armMusl, linker: "rust-lld", bare: true}},
		{name: "a cross compiler", arch: "arm64", std: []string{gnu, arm}, path: compilers, want: target{triple: arm, linker: filepath.Join(compilers, "aarch64-linux-gnu-gcc")}},
		{name: "a linker that is set", arch: "arm64", std: []string{arm}, set: []string{"CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=clang"}, want: target{triple: arm}},
		{name: "a bare linker that is set", arch: "arm64", std: []string{armMusl}, set: []string{"CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld"}, want: target{triple: armMusl, bare: true}},
		{name: "no linker", arch: "arm64", std: []string{gnu, arm}, wrong: "linux/arm64: there is no linker for " + arm, hint: "gcc-aarch64-linux-gnu"},
		{name: "no library", arch: "arm64", std: []string{gnu}, wrong: "linux/arm64: this machine's Rust cannot compile for " + armMusl + " or " + arm, hint: "rustup target add " + armMusl},
		{name: "no name", arch: "loong64", wrong: "Rust has no name for this platform", hint: "{Builder} dockerfile"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PATH", tt.path)
			got, err := having(t, tt.std...).targetFor(v1.Platform{OS: "linux", Architecture: tt.arch}, cargo.ReadSettings(&lang.Project{Dir: t.TempDir(), Environ: tt.set}))
			if tt.wrong != "" {
				if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), tt.wrong) || !strings.Contains(fault.HintOf(err), tt.hint) {
					t.Errorf("%v, hint %q", err, fault.HintOf(err))
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestTriples(t *testing.T) {
	for platform, want := range map[string]string{
		"amd64": "x86_64-unknown-linux-musl", "386": "i686-unknown-linux-musl", "arm": "armv7-unknown-linux-musleabihf",
		"arm/v6": "arm-unknown-linux-musleabihf", "arm/v5": "armv5te-unknown-linux-musleabi", "riscv64": "riscv64gc-unknown-linux-musl",
	} {
		arch, variant, _ := strings.Cut(platform, "/")
		if got := triples(v1.Platform{OS: "linux", Architecture: arch, Variant: variant}); len(got) != 2 || got[0] != want {
			t.Errorf("%s: %v", platform, got)
		}
	}
	for name, want := range map[string]string{
		"armv7-unknown-linux-gnueabihf": "arm-linux-gnueabihf", "riscv64gc-unknown-linux-gnu": "riscv64-linux-gnu", "s390x-unknown-linux-gnu": "s390x-linux-gnu",
	} {
		if got := gnuPrefix(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
