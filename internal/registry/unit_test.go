package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
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
