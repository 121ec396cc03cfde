package rust

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// toolchain is the Rust that holds in a project's folder: rustup chooses it by
// rust-toolchain.toml, by overrides and by RUSTUP_TOOLCHAIN.
type toolchain struct {
	tool    string // cargo
	version string // all that rustc says of itself
	host    string // this machine's target
	commit  string
	sysroot string
}

func probe(ctx context.Context, p *lang.Project) (*toolchain, error) {
	tool, err := lang.FindTool("rust", "cargo", "install Rust from https://rustup.rs")
	if err != nil {
		return nil, err
	}
	rustc := lang.Lookup(p.Environ, "RUSTC")
	if rustc == "" {
		if rustc, err = lang.FindTool("rust", "rustc", "install Rust from https://rustup.rs"); err != nil {
			return nil, err
		}
	}
	t := &toolchain{tool: tool}
	if t.version, err = ask(ctx, p, rustc, "--version", "--verbose"); err != nil {
		return nil, err
	}
	for line := range strings.Lines(t.version) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "host":
			t.host = value
		case "commit-hash":
			t.commit = value
		}
	}
	t.sysroot, err = ask(ctx, p, rustc, "--print", "sysroot")
	return t, err
}

// ask runs a program of the toolchain that only tells something. The answer is
// the last of what it writes: rustup may talk before it.
func ask(ctx context.Context, p *lang.Project, program string, args ...string) (string, error) {
	out, err := lang.Run(ctx, p.Dir, p.Environ, program, args...)
	if _, ran := errors.AsType[*exec.ExitError](err); ran {
		return "", fault.New(fault.Build, "build.rust", filepath.Base(program), "it does not tell its version\n%s", strings.TrimSpace(out))
	}
	return strings.TrimSpace(out), err
}

// target is what the program is compiled for, and with what it is linked.
type target struct {
	triple string
	linker string // "" leaves it to cargo
	bare   bool   // the linker is no compiler, and takes its flags unwrapped
	shared bool   // linked as the system has it, with its libraries
}

// triples are Rust's names of a platform, the better one first: musl is made for
// programs that stand alone.
func triples(platform v1.Platform) []string {
	cpu, abi := map[string]string{
		"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "ppc64le": "powerpc64le", "riscv64": "riscv64gc", "s390x": "s390x", "arm": "armv7",
	}[platform.Architecture], ""
	if platform.Architecture == "arm" {
		abi = "eabihf"
		switch platform.Variant {
		case "v6":
			cpu = "arm"
		case "v5":
			cpu, abi = "armv5te", "eabi"
		}
	}
	if cpu == "" {
		return nil
	}
	return []string{cpu + "-unknown-linux-musl" + abi, cpu + "-unknown-linux-gnu" + abi}
}

// targetFor is the first of the platform's names that this machine can compile
// and link for. One that the user has set goes first.
func (t *toolchain) targetFor(platform v1.Platform, set *cargo.Settings) (target, error) {
	if platform.OS != "linux" {
		return target{triple: t.host, shared: true}, nil // a process of this machine, not an image
	}
	names := triples(platform)
	if wish := set.Text("build", "target"); slices.Contains(names, wish) {
		names = append([]string{wish}, slices.DeleteFunc(names, func(name string) bool { return name == wish })...)
	}
	var unlinked string
	for _, name := range names {
		if !t.hasStd(name) {
			continue
		}
		if found, ok := t.link(name, set); ok {
			return found, nil
		}
		unlinked = name
	}
	if unlinked != "" {
		prefix := gnuPrefix(unlinked)
		return target{}, fault.New(fault.Conflict, "build.rust", platform.String(), "there is no linker for %s on this machine", unlinked).
			WithHint("install the compiler that is called %s-gcc (Debian: gcc-%s), or name one: CARGO_TARGET_%s_LINKER\n%s", prefix, prefix, cargo.EnvName(unlinked), lang.WithoutToolchain)
	}
	if len(names) == 0 {
		return target{}, fault.New(fault.Conflict, "build.rust", platform.String(), "Rust has no name for this platform").WithHint("%s", lang.WithoutToolchain)
	}
	return target{}, fault.New(fault.Conflict, "build.rust", platform.String(), "this machine's Rust cannot compile for %s", strings.Join(names, " or ")).
		WithHint("add it: rustup target add %s\n%s", names[0], lang.WithoutToolchain)
}

// hasStd reports whether the toolchain has the standard library of a target.
func (t *toolchain) hasStd(name string) bool {
	found, err := filepath.Glob(filepath.Join(t.sysroot, "lib", "rustlib", name, "lib", "libstd-*.rlib"))
	return err == nil && len(found) > 0
}

// link finds the linker of a target: the user's own, the compiler of this
// machine for itself, a cross compiler, and for musl, whose parts Rust brings
// along, Rust's own linker.
func (t *toolchain) link(name string, set *cargo.Settings) (target, bool) {
	if own := set.Text("target", name, "linker"); own != "" {
		// ld, ld.lld, rust-lld, mold; anything else is a compiler.
		return target{triple: name, bare: strings.HasSuffix(strings.TrimSuffix(own, ".exe"), "ld")}, true
	}
	if cpu, _, _ := strings.Cut(name, "-"); strings.HasPrefix(t.host, cpu+"-") && strings.Contains(t.host, "-linux-") {
		return target{triple: name}, true
	}
	if strings.Contains(name, "-musl") {
		tools, _ := filepath.Glob(filepath.Join(t.sysroot, "lib", "rustlib", t.host, "bin", "rust-lld*"))
		return target{triple: name, linker: "rust-lld", bare: true}, len(tools) > 0
	}
	linker, err := exec.LookPath(gnuPrefix(name) + "-gcc")
	return target{triple: name, linker: linker}, err == nil
}

// gnuPrefix is how Debian and others call the cross compiler of a target.
func gnuPrefix(name string) string {
	cpu, rest, _ := strings.Cut(name, "-unknown-linux-")
	cpu = map[string]string{"armv7": "arm", "armv5te": "arm", "riscv64gc": "riscv64"}[cpu]
	if cpu == "" {
		cpu, _, _ = strings.Cut(name, "-")
	}
	return cpu + "-linux-" + strings.Replace(rest, "musl", "gnu", 1)
}
