package registry

import (
	"strings"
	"testing"
)

// What a registry answers with an error is anybody's text.
func FuzzErrorBody(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"errors":[]}`, `{"errors":[{"code":"DENIED","message":"no"}]}`, `{"errors":[{"detail":{"a":[1]}}]}`, `{"errors":{}}`, `{"message":1}`, "<html><title>x", "<title></title>", "<TITLE>a\nb</TITLE>", "plain\r\ntext", "\xff\x00",
	} {
		for _, kind := range []string{"application/json", "text/html; charset=x", "", "text/plain"} {
			f.Add(kind, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		code, message := describeBody(kind, body)
		if text := (&StatusError{Status: 500, Code: code, Message: message}).Error(); strings.Contains(text, "\n") {
			t.Errorf("%q of type %q: %q has several lines", body, kind, text)
		}
	})
}
