package cargo

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
)

// configured is the settings of a project with a file of its own and one of the
// user.
func configured(t *testing.T, own, user string, environ ...string) *Settings {
	t.Helper()
	dir := t.TempDir()
	langtest.Write(t, dir, map[string]string{"p/Cargo.toml": hello, "p/.cargo/config.toml": own, "home/config.toml": user})
	p := open(t, filepath.Join(dir, "p"))
	p.Environ = append(environ, "CARGO_HOME="+filepath.Join(dir, "home"))
	return ReadSettings(p)
}

// Our flags join the user's where cargo takes them from.
func TestWithFlags(t *testing.T) {
	const triple = "x86_64-unknown-linux-gnu"
	tests := []struct {
		name    string
		own     string
		user    string
		environ string
		args    string
		env     string
	}{
		{"none", "", "", "", "target." + triple + `.rustflags=["-C","x"]`, ""},
		{"a variable", "", "", "RUSTFLAGS=-C opt  -A dead_code", "", "-C opt -A dead_code -C x"},
		{"an encoded variable", "", "", "CARGO_ENCODED_RUSTFLAGS=-A\x1fa b", "", "-A a b -C x"},
		{"for the target", "[target." + triple + "]\nrustflags = [\"-A\"]\n[build]\nrustflags = [\"-B\"]\n", "", "", "target." + triple + `.rustflags=["-C","x"]`, ""},
		{"for all targets", "", "[build]\nrustflags = [\"-B\"]\n", "", `build.rustflags=["-C","x"]`, ""},
		{"a variable for all targets", "", "", "CARGO_BUILD_RUSTFLAGS=-B", `build.rustflags=["-C","x"]`, ""},
		{"by a condition", "[target.'cfg(unix)']\nrustflags = [\"-A\"]\n", "[build]\nrustflags = [\"-B\"]\n", "", "target." + triple + `.rustflags=["-C","x"]`, ""},
		{"one string", "[build]\nrustflags = \"-B -D\"\n", "", "", "", "-B -D -C x"},
	}
	for _, tt := range tests {
		args, env := configured(t, tt.own, tt.user, tt.environ).WithFlags(triple, []string{"-C", "x"})
		if got := strings.TrimPrefix(strings.Join(args, " "), "--config "); got != tt.args {
			t.Errorf("%s: arguments %q", tt.name, got)
		}
		if got := strings.TrimPrefix(strings.ReplaceAll(strings.Join(env, " "), "\x1f", " "), "CARGO_ENCODED_RUSTFLAGS="); got != tt.env {
			t.Errorf("%s: variables %q", tt.name, got)
		}
	}
}

// Facts are what changes the program: neither where it comes from nor a secret.
func TestFacts(t *testing.T) {
	same := func(a, b []lang.Fact) bool { return slices.Equal(a, b) }
	plain := configured(t, "[profile.release]\nlto = true\n", "").Facts()
	mirror := configured(t, "[profile.release]\nlto = true\n[net]\nretry = 3\n", "[registry]\ntoken = \"canary\"\n", "CARGO_TARGET_DIR=/elsewhere", "HOME=/root").Facts()
	if len(plain) != 1 || !same(plain, mirror) {
		t.Errorf("%v\n%v", plain, mirror)
	}
	for name, other := range map[string][]lang.Fact{
		"a profile": configured(t, "[profile.release]\nlto = false\n", "").Facts(),
		"a user's":  configured(t, "[profile.release]\nlto = true\n", "[build]\nrustflags = [\"-A\"]\n").Facts(),
	} {
		if same(plain, other) {
			t.Errorf("%s does not count", name)
		}
	}
}

func TestSettingsByName(t *testing.T) {
	s := configured(t, "[build]\ntarget = \"near\"\n", "[build]\ntarget = \"far\"\njobs = 2\n[target.x-y]\nlinker = \"ld\"\n")
	if s.Text("build", "target") != "near" || s.Text("target", "x-y", "linker") != "ld" || s.Has("build", "rustflags") || !s.Has("build", "jobs") {
		t.Errorf("%+v", s)
	}
	if s = configured(t, "[build]\ntarget = \"near\"\n", "", "CARGO_BUILD_TARGET=set"); s.Text("build", "target") != "set" {
		t.Errorf("the variable goes first: %+v", s)
	}
	if s = configured(t, "[build\n", ""); len(s.files) != 1 {
		t.Errorf("a file with a mistake: %+v", s)
	}
}

func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	langtest.Write(t, dir, map[string]string{LockFile: "version = 4\n[[package]]\nname = \"itoa\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n[[package]]\nname = \"hello\"\nversion = \"0.1.0\"\n"})
	sums, err := Checksums(dir)
	if err != nil || sums["itoa@1.0.0"] != "abc" || sums["hello@0.1.0"] != "" {
		t.Errorf("%v, %v", sums, err)
	}
	if _, err := Checksums(t.TempDir()); err == nil {
		t.Error("no file, and no error")
	}
}
