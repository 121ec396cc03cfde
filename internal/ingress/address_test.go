package ingress

import (
	"net/url"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:80":            "127.0.0.1:80",
		"ingress.example":         "ingress.example",
		"http://127.0.77.1:80":    "127.0.77.1:80",
		"http://127.0.77.1:8080/": "127.0.77.1:8080",
		"https://ingress.example": "ingress.example:443",
		"[::1]:80":                "[::1]:80",
		"::1":                     "::1",
		"http://[::1]":            "[::1]",
	} {
		if got, err := ParseAddress(text); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"ftp://x", "http://", "http://x/path", "http://u:p@x", "x:", "x:port", "x:0", "x:70000", "a b", "x/y", ":80", "a:b:c", "http://x?y"} {
		if got, err := ParseAddress(text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q is taken for %q (%v)", text, got, err)
		}
	}
}

func TestIsPrivate(t *testing.T) {
	for text, want := range map[string]bool{
		"http://fn.ns.svc.cluster.local":      true,
		"http://tag-fn.ns.svc.cluster.local/": true,
		"http://fn.ns.svc":                    true,
		"http://fn.ns.example.com":            false,
		"http://svc.example.com":              false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if IsPrivate(u) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
