//go:build e2e

// Package supplychain has others judge what kn-lite attaches to images: cosign
// the signatures, and SPDX's own tools the SBOMs.
package supplychain

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// lab is a folder with programs and a registry.
type lab struct {
	t        *testing.T
	dir      string
	env      []string
	registry string
}

func newLab(t *testing.T, noReferrers bool) *lab {
	t.Helper()
	tools, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	bin := os.Getenv("KN_LITE_E2E_BIN")
	for _, program := range []string{"kn-lite", "cosign", "spdx-tools/bin/pyspdxtools"} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil || bin == "" {
			// Not skipped: a run that proves nothing must not look like one that does.
			t.Fatalf("%s is not in KN_LITE_E2E_BIN=%s; run `make e2e RUN=supply-chain`", program, bin)
		}
	}
	server := regtest.New()
	server.NoReferrers = noReferrers
	address, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	l := &lab{t: t, dir: t.TempDir(), registry: address}
	l.env = slices.Concat(tools, toolenv.Home(t.TempDir()), []string{
		"PATH=" + bin + string(os.PathListSeparator) + filepath.Join(bin, "spdx-tools", "bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"TMPDIR=" + os.TempDir(), "KN_LITE_REGISTRY=" + address + "/me", "COSIGN_PASSWORD=",
		"KN_LITE_BASE_IMAGE_NODE=" + address + "/base/any", "KN_LITE_BASE_IMAGE_PYTHON=" + address + "/base/any",
		"DOCKER_CONFIG=" + t.TempDir(),
	})
	return l
}

// try runs a program and returns its stdout, its stderr and its exit code.
func (l *lab) try(program string, args ...string) (string, string, int) {
	l.t.Helper()
	cmd := exec.Command("/usr/bin/env", append([]string{program}, args...)...)
	cmd.Dir, cmd.Env = l.dir, l.env
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		l.t.Fatal(err)
	}
	return strings.TrimSpace(out.String()), stderr.String(), code
}

// run is try for what has to succeed.
func (l *lab) run(program string, args ...string) string {
	l.t.Helper()
	out, stderr, code := l.try(program, args...)
	if code != 0 {
		l.t.Fatalf("%s %v: exit %d\n%s\n%s", program, args, code, out, stderr)
	}
	return out
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	at := filepath.Join(l.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
		l.t.Fatal(err)
	}
}

// program makes the project of a small program.
func (l *lab) program(name string) {
	l.write(name+"/go.mod", "module "+name+"\n\ngo 1.21\n")
	l.write(name+"/main.go", "package main\n\nfunc main() { println(\""+name+"\") }\n")
}

// verifies asks cosign.
func (l *lab) verifies(key, ref string) bool {
	l.t.Helper()
	out, _, code := l.try("cosign", "verify", "--key", key, "--insecure-ignore-tlog", "--allow-http-registry", ref)
	if code == 0 && !strings.Contains(out, `"docker-manifest-digest":"sha256:`) {
		l.t.Fatalf("cosign says nothing of a digest: %s", out)
	}
	return code == 0
}

// TestCosign: what either signs, the other verifies; what one refuses, both do.
func TestCosign(t *testing.T) {
	for name, noReferrers := range map[string]bool{"referrers": false, "before OCI 1.1": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, noReferrers)
			l.program("one")
			l.run("kn-lite", "image", "keygen", "ours")
			l.run("kn-lite", "image", "keygen", "stranger")
			l.run("cosign", "generate-key-pair", "--output-key-prefix", "theirs")

			index := l.run("kn-lite", "build", "one", "--push", "--platform", "linux/amd64,linux/arm64", "--image", l.registry+"/me/index", "--sign-key", "ours.key")
			image := l.run("kn-lite", "build", "one", "--push", "--image", l.registry+"/me/image", "--sign-key", "ours.key")
			for _, ref := range []string{index, image} {
				if !l.verifies("ours.pub", ref) {
					t.Errorf("cosign does not verify what kn-lite has signed: %s", ref)
				}
				if l.verifies("stranger.pub", ref) {
					t.Errorf("cosign takes another key for %s", ref)
				}
				if _, stderr, code := l.try("kn-lite", "image", "verify", ref, "--key", "stranger.pub"); code != 6 {
					t.Errorf("kn-lite takes another key for %s: exit %d %s", ref, code, stderr)
				}
			}

			// cosign adds its own, and both stay good.
			l.run("cosign", "sign", "--yes", "--key", "theirs.key", "--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false", "--allow-http-registry", image)
			for _, key := range []string{"ours.pub", "theirs.pub"} {
				l.run("kn-lite", "image", "verify", image, "--key", key)
				if !l.verifies(key, image) {
					t.Errorf("cosign does not verify %s any more", key)
				}
			}
			// And kn-lite adds to cosign's.
			plain := l.run("kn-lite", "build", "one", "--push", "--image", l.registry+"/me/plain")
			if l.verifies("ours.pub", plain) {
				t.Error("cosign verifies what nobody has signed under this name")
			}
			l.run("cosign", "sign", "--yes", "--key", "theirs.key", "--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false", "--allow-http-registry", plain)
			l.run("kn-lite", "build", "one", "--push", "--image", l.registry+"/me/plain", "--sign-key", "ours.key")
			for _, key := range []string{"ours.pub", "theirs.pub"} {
				l.run("kn-lite", "image", "verify", plain, "--key", key)
				if !l.verifies(key, plain) {
					t.Errorf("cosign does not verify %s", key)
				}
			}
			// A key of ours becomes one of cosign's.
			l.run("cosign", "import-key-pair", "--key", "ours.key", "--output-key-prefix", "imported")
			l.run("cosign", "sign", "--yes", "--key", "imported.key", "--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false", "--allow-http-registry", index)
			l.run("kn-lite", "image", "verify", index, "--key", "ours.pub")
		})
	}
}

// TestSPDX: the SBOM of every language is valid SPDX, and names what was installed.
func TestSPDX(t *testing.T) {
	l := newLab(t, false)
	l.program("base")
	l.run("kn-lite", "build", "base", "--push", "--image", l.registry+"/base/any", "--platform", "linux/amd64,linux/arm64")
	for language, want := range map[string]string{
		"go": "pkg:golang/stdlib@1.", "node": "pkg:npm/faas-js-runtime@", "typescript": "pkg:npm/faas-js-runtime@", "python": "pkg:pypi/hypercorn@",
	} {
		t.Run(language, func(t *testing.T) {
			l := *l
			l.t = t
			l.env = append(slices.Clone(l.env), "KN_LITE_BASE_IMAGE_TYPESCRIPT="+l.registry+"/base/any")
			l.run("kn-lite", "func", "create", language, "-l", language)
			ref := l.run("kn-lite", "build", language, "--push", "--platform", "linux/amd64,linux/arm64")
			for _, platform := range []string{"linux/amd64", "linux/arm64"} {
				sbom := l.run("kn-lite", "image", "inspect", ref, "--sbom", "--platform", platform)
				if !strings.Contains(sbom, want) {
					t.Errorf("%s is not in the SBOM for %s", want, platform)
				}
				l.write("sbom.spdx.json", sbom)
				if out, stderr, code := l.try("pyspdxtools", "--infile", "sbom.spdx.json"); code != 0 {
					t.Errorf("not valid: %s\n%s", out, stderr)
				}
			}
		})
	}
	// The validator does refuse something.
	l.write("broken.spdx.json", `{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT"}`)
	if _, _, code := l.try("pyspdxtools", "--infile", "broken.spdx.json"); code == 0 {
		t.Error("the validator takes anything")
	}
}
