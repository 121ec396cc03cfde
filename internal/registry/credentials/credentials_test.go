package credentials

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func environ(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func login(user string) string {
	return `{"auths": {"reg.example": {"username": "` + user + `", "password": "pw"}}}`
}

// TestCredentialOrder: each source hides those below it, a named one all others.
func TestCredentialOrder(t *testing.T) {
	dir := t.TempDir()
	file := func(user string) string { return write(t, filepath.Join(dir, user+".json"), login(user), 0o600) }
	write(t, filepath.Join(dir, "docker", "config.json"), login("docker-config"), 0o600)
	write(t, filepath.Join(dir, "home", ".docker", "config.json"), login("home"), 0o600)
	write(t, filepath.Join(dir, "run", "containers", "auth.json"), login("run"), 0o600)
	write(t, filepath.Join(dir, "xdg", "containers", "auth.json"), login("xdg"), 0o600)
	write(t, filepath.Join(dir, "bare", ".config", "containers", "auth.json"), login("bare"), 0o600)
	write(t, filepath.Join(dir, "emptyhome", ".docker", "config.json"), `{}`, 0o600)
	vars := map[string]string{
		"KN_LITE_AUTHFILE": file("kn"), "REGISTRY_AUTH_FILE": file("raf"), "DOCKER_CONFIG": filepath.Join(dir, "docker"),
		"HOME": filepath.Join(dir, "home"), "XDG_RUNTIME_DIR": filepath.Join(dir, "run"), "XDG_CONFIG_HOME": filepath.Join(dir, "xdg"),
	}
	check := func(k *Keychain, user, from string) {
		t.Helper()
		got, err := k.Lookup(t.Context(), "reg.example", "a/b")
		if err != nil || got.User != user || !strings.Contains(k.Describe("reg.example"), from) || strings.Contains(k.Describe("reg.example"), "pw") {
			t.Errorf("got %q, %v, %q; want %q from %q", got.User, err, k.Describe("reg.example"), user, from)
		}
	}
	check(New(Options{File: file("flag"), FileFrom: "--authfile", Env: environ(vars)}), "flag", "flag.json (--authfile)")
	for _, step := range []struct{ drop, user, from string }{
		{"", "kn", "($KN_LITE_AUTHFILE)"},
		{"KN_LITE_AUTHFILE", "raf", "($REGISTRY_AUTH_FILE)"},
		{"REGISTRY_AUTH_FILE", "docker-config", "($DOCKER_CONFIG)"},
		{"DOCKER_CONFIG", "home", filepath.Join("home", ".docker", "config.json")},
	} {
		delete(vars, step.drop)
		check(New(Options{Env: environ(vars)}), step.user, step.from)
	}
	vars["HOME"] = filepath.Join(dir, "emptyhome")
	check(New(Options{Env: environ(vars)}), "run", "run")
	delete(vars, "XDG_RUNTIME_DIR")
	check(New(Options{Env: environ(vars)}), "xdg", "xdg")
	check(New(Options{Env: environ(map[string]string{"HOME": filepath.Join(dir, "bare")})}), "bare", ".config")
	// An empty DOCKER_CONFIG hides the home's: that is what docker does, and it is said.
	vars["DOCKER_CONFIG"] = filepath.Join(dir, "nothing")
	check(New(Options{Env: environ(vars)}), "", "there are no credentials for reg.example in "+filepath.Join(dir, "nothing", "config.json")+" ($DOCKER_CONFIG)")
}

func TestCredentialEntries(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "auth.json"), `{"auths": {
		"reg.example": {"auth": "aG9zdDpwdw=="},
		"reg.example/team": {"auth": "dGVhbTpwdzp3aXRoOmNvbG9ucw=="},
		"https://old.example/v1/": {"auth": "b2xkOnB3"},
		"https://index.docker.io/v1/": {"auth": "aHViOnB3"},
		"token.example": {"identitytoken": "refresh-me"},
		"bearer.example": {"registrytoken": "as-it-is"},
		"broken.example": {"auth": "not base64!"}}}`, 0o600)
	k := New(Options{File: path, FileFrom: "--authfile", Env: environ(nil)})
	from := path + " (--authfile)"
	for _, tt := range []struct {
		host, repository string
		want             Credential
	}{
		{"reg.example", "other/app", Credential{User: "host", Password: "pw", From: from}},
		{"reg.example", "team/app", Credential{User: "team", Password: "pw:with:colons", From: from}},
		{"reg.example", "team/app/deep", Credential{User: "team", Password: "pw:with:colons", From: from}},
		{"old.example", "a", Credential{User: "old", Password: "pw", From: from}},
		{"index.docker.io", "library/node", Credential{User: "hub", Password: "pw", From: from}},
		{"token.example", "a", Credential{IdentityToken: "refresh-me", From: from}},
		{"bearer.example", "a", Credential{RegistryToken: "as-it-is", From: from}},
		{"nobody.example", "a", Credential{}},
	} {
		got, err := k.Lookup(t.Context(), tt.host, tt.repository)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s/%s: %v %s", tt.host, tt.repository, err, diff)
		}
	}
	if _, err := k.Lookup(t.Context(), "broken.example", "a"); fault.KindOf(err) != fault.Auth {
		t.Errorf("got %v", err)
	}
	for name, content := range map[string]string{"broken": "{", "list": "[]"} {
		k := New(Options{File: write(t, filepath.Join(t.TempDir(), name), content, 0o600), Env: environ(nil)})
		if _, err := k.Lookup(t.Context(), "reg.example", "a"); fault.KindOf(err) != fault.Auth {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCredentialHelpers(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "docker-credential-good"), "#!/bin/sh\nread s\necho '{\"ServerURL\":\"'$s'\",\"Username\":\"helper-'$s'\",\"Secret\":\"pw\"}'\n", 0o700)
	write(t, filepath.Join(dir, "docker-credential-token"), "#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"refresh\"}'\n", 0o700)
	write(t, filepath.Join(dir, "docker-credential-empty"), "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n", 0o700)
	write(t, filepath.Join(dir, "docker-credential-bad"), "#!/bin/sh\necho secret-on-stderr >&2\nexit 1\n", 0o700)
	write(t, filepath.Join(dir, "docker-credential-noise"), "#!/bin/sh\necho hello\n", 0o700)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	path := write(t, filepath.Join(dir, "config.json"), `{"credsStore": "empty",
		"auths": {"plain.example": {"username": "plain", "password": "pw"}},
		"credHelpers": {"good.example": "good", "token.example": "token", "bad.example": "bad", "gone.example": "missing", "noise.example": "noise", "evil.example": "../../bin/sh"}}`, 0o600)
	k := New(Options{File: path, FileFrom: "--authfile", Env: environ(nil)})
	good, err := k.Lookup(t.Context(), "good.example", "a")
	if err != nil || good.User != "helper-good.example" || !strings.Contains(k.Describe("good.example"), "docker-credential-good") {
		t.Errorf("got %+v, %v, %s", good, err, k.Describe("good.example"))
	}
	if token, err := k.Lookup(t.Context(), "token.example", "a"); err != nil || token.IdentityToken != "refresh" || token.User != "" {
		t.Errorf("got %+v, %v", token, err)
	}
	if plain, err := k.Lookup(t.Context(), "plain.example", "a"); err != nil || plain.User != "plain" {
		t.Errorf("behind an empty store: got %+v, %v", plain, err)
	}
	for _, host := range []string{"bad.example", "gone.example", "noise.example", "evil.example"} {
		_, err := k.Lookup(t.Context(), host, "a")
		if fault.KindOf(err) != fault.Auth || strings.Contains(err.Error()+fault.HintOf(err), "secret-on-stderr") {
			t.Errorf("%s: got %v", host, err)
		}
	}
}
