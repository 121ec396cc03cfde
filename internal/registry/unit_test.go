package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParse(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a1", 32)
	for ref, want := range map[string]Reference{
		"registry.example/team/app:v1":         {"registry.example", "team/app", "v1", ""},
		"registry.example:5000/app":            {"registry.example:5000", "app", "latest", ""},
		"localhost/app":                        {"localhost", "app", "latest", ""},
		"reg.example/a":                        {"reg.example", "a", "latest", ""},
		"localhost:5000/x:v1":                  {"localhost:5000", "x", "v1", ""},
		"reg.example/7@" + digest:              {"reg.example", "7", "", digest},
		"[::1]:5000/app":                       {"[::1]:5000", "app", "latest", ""},
		"node:20":                              {"index.docker.io", "library/node", "20", ""},
		"reg.example/app@" + digest:            {"reg.example", "app", "", digest},
		"reg.example:80/app:v2@" + digest:      {"reg.example:80", "app", "v2", digest},
		"reg.example:5000/app@" + digest:       {"reg.example:5000", "app", "", digest},
		"gcr.io/distroless/static-debian12:no": {"gcr.io", "distroless/static-debian12", "no", ""},
	} {
		got, err := Parse(ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", ref, diff)
		}
	}
	for ref, want := range map[string]string{
		"":                             "empty",
		"  ":                           "empty",
		"https://reg.example/app":      `leave out "https://"`,
		"docker://reg.example/app":     `leave out "docker://"`,
		"reg.example/my app":           "white space",
		"reg.example/App":              `"App" has upper-case`,
		"reg.example/a//b":             "part of the name is empty",
		"reg.example/app/":             "part of the name is empty",
		"reg.example/a/../b":           `part "../"`,
		"reg.example/team/-app":        `part "-app/"`,
		"reg.example/A":                "upper-case",
		"reg.example/-":                "must start",
		"reg.example/äpp":              "a-z",
		"reg.example/app:":             "1 to 128",
		"reg.example/app:v 1":          "white space",
		"reg.example/app:v+1":          `tag "v+1"`,
		"reg.example/app@md5:abc":      "does not start with sha256:",
		"reg.example/app@sha256:abc":   "64 lower-case",
		"reg.example/" + digest + "/x": "",
	} {
		_, err := Parse(ref)
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("%q: got %v, want %q", ref, err, want)
		}
	}
	if _, err := ParseTag("reg.example/app@" + digest); fault.KindOf(err) != fault.Usage {
		t.Errorf("a digest as a tag: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a/b:c", "reg:1/a@sha256:", "[::1]/a", "https://x", "a:b:c/d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		r, err := Parse(ref)
		if err != nil {
			if fault.KindOf(err) != fault.Usage {
				t.Errorf("%q: %v", ref, err)
			}
			return
		}
		if again, err := Parse(r.String()); err != nil || again != r {
			t.Errorf("%q became %+v, and that %+v, %v", ref, r, again, err)
		}
	})
}

func TestParseChallenges(t *testing.T) {
	tests := []struct {
		headers []string
		want    *challenge
	}{
		{nil, nil},
		{[]string{"Negotiate abc"}, nil},
		{[]string{`Basic realm="x"`}, &challenge{"basic", map[string]string{"realm": "x"}}},
		{
			[]string{`Bearer realm="https://auth/token",service="reg",scope="repository:a/b:pull,push"`},
			&challenge{"bearer", map[string]string{"realm": "https://auth/token", "service": "reg", "scope": "repository:a/b:pull,push"}},
		},
		{
			[]string{`BASIC realm=x, bearer Realm = "y\"z" , error=invalid_token`},
			&challenge{"bearer", map[string]string{"realm": `y"z`, "error": "invalid_token"}},
		},
		{[]string{`Basic realm="x"`, `Bearer realm="y"`}, &challenge{"bearer", map[string]string{"realm": "y"}}},
		{[]string{`Bearer realm="unclosed`}, &challenge{"bearer", map[string]string{"realm": "unclosed"}}},
		{[]string{`"", =,`, ``}, nil},
	}
	for _, tt := range tests {
		got := pickChallenge(tt.headers)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(challenge{})); diff != "" {
			t.Errorf("%q: %s", tt.headers, diff)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	for _, seed := range []string{`Bearer realm="a",scope="b,c"`, `Basic x=y, Bearer`, `"`, `a="\`, `=,=`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, c := range parseChallenges(header) {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) {
				t.Errorf("%q: scheme %q", header, c.scheme)
			}
		}
	})
}

func TestParseRetryAfter(t *testing.T) {
	const date = "Mon, 04 May 2026 12:00:00 GMT"
	tests := []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"", 0, false},
		{"0", 0, true},
		{" 7 ", 7 * time.Second, true},
		{"-1", 0, false},
		{"soon", 0, false},
		{"1.5", 0, false},
		{"99999999999", 24 * time.Hour, true},
		{"999999999999999999999999", 0, false},
		{"Mon, 04 May 2026 12:00:30 GMT", 30 * time.Second, true},
		{"Mon, 04 May 2020 12:00:30 GMT", 0, true},
	}
	for _, tt := range tests {
		if got, ok := parseRetryAfter(tt.value, date); got != tt.want || ok != tt.ok {
			t.Errorf("%q: got %v, %v", tt.value, got, ok)
		}
	}
	if got, ok := parseRetryAfter("Mon, 04 May 2026 12:00:30 GMT", ""); ok {
		t.Errorf("a date with nothing to count from: got %v", got)
	}
}

func TestPauseIsBounded(t *testing.T) {
	p := Policy{}.withDefaults()
	for attempt := 1; attempt < 200; attempt++ {
		want := p.Max
		if attempt < 6 {
			want = p.Base << (attempt - 1)
		}
		if got := p.pause(attempt, io.EOF); got > want || got < want*3/4 {
			t.Errorf("attempt %d: %v, want about %v", attempt, got, want)
		}
	}
}

func TestRetryable(t *testing.T) {
	tests := []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("x"), false},
		{context.Canceled, false},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), false},
		{io.ErrUnexpectedEOF, true},
		{syscall.ECONNRESET, true},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		{&net.DNSError{IsNotFound: true}, false},
		{&net.DNSError{IsTemporary: true}, true},
		{&net.DNSError{IsTimeout: true}, true},
		{&StatusError{Status: 429}, true},
		{&StatusError{Status: 503}, true},
		{&StatusError{Status: 501}, false},
		{&StatusError{Status: 404}, false},
		{errRetryable{&StatusError{Status: 404}}, true},
		{errStalled{time.Second}, true},
		{&url.Error{Op: "Get", URL: "x", Err: io.EOF}, true},
	}
	for _, tt := range tests {
		if got := retryable(tt.err); got != tt.want {
			t.Errorf("%v: got %v", tt.err, got)
		}
	}
}

func TestDescribeBody(t *testing.T) {
	tests := []struct{ contentType, body, code, message string }{
		{"application/json", `{"errors":[{"code":"DENIED","message":"no\u001b[31m red"},{"code":"X"}]}`, "DENIED", "DENIED: no[31m red"},
		{"application/json", `{"errors":[{"code":"UNKNOWN"}]}`, "UNKNOWN", "UNKNOWN"},
		{"application/json", `{"details":"incorrect username or password"}`, "", "incorrect username or password"},
		{"text/html", "<html><TITLE>502 Bad Gateway</TITLE>", "", `a web page titled "502 Bad Gateway", is this a registry?`},
		{"", "<!doctype HTML><p>hi", "", "a web page, is this a registry?"},
		{"text/plain", "  quota exceeded\nline two", "", "quota exceeded"},
		{"text/plain", strings.Repeat("ä", 300), "", strings.Repeat("ä", 200) + "…"},
		{"", "", "", ""},
	}
	for _, tt := range tests {
		if code, message := describeBody(tt.contentType, []byte(tt.body)); code != tt.code || message != tt.message {
			t.Errorf("%q: got %q, %q", tt.body, code, message)
		}
	}
}

func TestErrorsShowNoQuery(t *testing.T) {
	at, err := url.Parse("https://user:pw@storage.example/blob?X-Signature=secret")
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{redact(at), plainCause(&url.Error{Op: "Get", URL: at.String(), Err: io.EOF}).Error()}
	for _, text := range texts {
		if strings.Contains(text, "secret") || strings.Contains(text, "pw") || !strings.Contains(text, "storage.example/blob?…") {
			t.Errorf("got %s", text)
		}
	}
}

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
	check := func(k *keychain, user, from string) {
		t.Helper()
		got, err := k.lookup(t.Context(), "reg.example", "a/b")
		if err != nil || got.user != user || !strings.Contains(k.describe("reg.example"), from) || strings.Contains(k.describe("reg.example"), "pw") {
			t.Errorf("got %q, %v, %q; want %q from %q", got.user, err, k.describe("reg.example"), user, from)
		}
	}
	check(&keychain{authFile: file("flag"), from: "--authfile", env: environ(vars)}, "flag", "flag.json (--authfile)")
	for _, step := range []struct{ drop, user, from string }{
		{"", "kn", "($KN_LITE_AUTHFILE)"},
		{"KN_LITE_AUTHFILE", "raf", "($REGISTRY_AUTH_FILE)"},
		{"REGISTRY_AUTH_FILE", "docker-config", "($DOCKER_CONFIG)"},
		{"DOCKER_CONFIG", "home", filepath.Join("home", ".docker", "config.json")},
	} {
		delete(vars, step.drop)
		check(&keychain{env: environ(vars)}, step.user, step.from)
	}
	vars["HOME"] = filepath.Join(dir, "emptyhome")
	check(&keychain{env: environ(vars)}, "run", "run")
	delete(vars, "XDG_RUNTIME_DIR")
	check(&keychain{env: environ(vars)}, "xdg", "xdg")
	check(&keychain{env: environ(map[string]string{"HOME": filepath.Join(dir, "bare")})}, "bare", ".config")
	// An empty DOCKER_CONFIG hides the home's: that is what docker does, and it is said.
	vars["DOCKER_CONFIG"] = filepath.Join(dir, "nothing")
	check(&keychain{env: environ(vars)}, "", "there are no credentials for reg.example in "+filepath.Join(dir, "nothing", "config.json")+" ($DOCKER_CONFIG)")
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
	k := &keychain{authFile: path, from: "--authfile", env: environ(nil)}
	from := path + " (--authfile)"
	for _, tt := range []struct {
		host, repository string
		want             credential
	}{
		{"reg.example", "other/app", credential{user: "host", password: "pw", from: from}},
		{"reg.example", "team/app", credential{user: "team", password: "pw:with:colons", from: from}},
		{"reg.example", "team/app/deep", credential{user: "team", password: "pw:with:colons", from: from}},
		{"old.example", "a", credential{user: "old", password: "pw", from: from}},
		{"index.docker.io", "library/node", credential{user: "hub", password: "pw", from: from}},
		{"token.example", "a", credential{identityToken: "refresh-me", from: from}},
		{"bearer.example", "a", credential{registryToken: "as-it-is", from: from}},
		{"nobody.example", "a", credential{}},
	} {
		got, err := k.lookup(t.Context(), tt.host, tt.repository)
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(credential{})); err != nil || diff != "" {
			t.Errorf("%s/%s: %v %s", tt.host, tt.repository, err, diff)
		}
	}
	if _, err := k.lookup(t.Context(), "broken.example", "a"); fault.KindOf(err) != fault.Auth {
		t.Errorf("got %v", err)
	}
	for name, content := range map[string]string{"broken": "{", "list": "[]"} {
		k := &keychain{authFile: write(t, filepath.Join(t.TempDir(), name), content, 0o600), env: environ(nil)}
		if _, err := k.lookup(t.Context(), "reg.example", "a"); fault.KindOf(err) != fault.Auth {
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
	k := &keychain{authFile: path, from: "--authfile", env: environ(nil)}
	good, err := k.lookup(t.Context(), "good.example", "a")
	if err != nil || good.user != "helper-good.example" || !strings.Contains(k.describe("good.example"), "docker-credential-good") {
		t.Errorf("got %+v, %v, %s", good, err, k.describe("good.example"))
	}
	if token, err := k.lookup(t.Context(), "token.example", "a"); err != nil || token.identityToken != "refresh" || token.user != "" {
		t.Errorf("got %+v, %v", token, err)
	}
	if plain, err := k.lookup(t.Context(), "plain.example", "a"); err != nil || plain.user != "plain" {
		t.Errorf("behind an empty store: got %+v, %v", plain, err)
	}
	for _, host := range []string{"bad.example", "gone.example", "noise.example", "evil.example"} {
		_, err := k.lookup(t.Context(), host, "a")
		if fault.KindOf(err) != fault.Auth || strings.Contains(err.Error()+fault.HintOf(err), "secret-on-stderr") {
			t.Errorf("%s: got %v", host, err)
		}
	}
}
