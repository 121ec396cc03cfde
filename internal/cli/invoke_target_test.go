package cli

import (
	"net/url"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestPathIsSentAsGiven(t *testing.T) {
	for given, sent := range map[string]string{
		"/":               "/",
		"":                "/",
		"items/7":         "/items/7",
		"/a%2Fb":          "/a%2Fb",
		"//x/y":           "//x/y",
		"/a b?q=c d":      "/a%20b?q=c%20d",
		"/a?q=%2F&r=a+b":  "/a?q=%2F&r=a+b",
		"/a?b?c":          "/a?b?c",
		"/..//./x":        "/..//./x",
		"/a#b":            "/a%23b",
		"/é":              "/%C3%A9",
		"/x\r\nX-Evil: 1": "/x%0D%0AX-Evil:%201",
		"/a;b=c:@!$&'()*": "/a;b=c:@!$&'()*",
		"http://other/x":  "/http://other/x",
	} {
		u, err := parsePath(given)
		if err != nil {
			t.Errorf("%q: %v", given, err)
			continue
		}
		u.Scheme, u.Host = "http", "fn.example"
		again, err := url.Parse(u.String())
		if err != nil {
			t.Errorf("%q: %v", given, err)
			continue
		}
		if got := again.RequestURI(); got != sent {
			t.Errorf("%q is sent as %q, want %q", given, got, sent)
		}
	}
	if _, err := parsePath("/100%"); fault.KindOf(err) != fault.Usage {
		t.Errorf("half an escape: %v", err)
	}
}

func TestParseIngress(t *testing.T) {
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
		if got, err := parseIngress("--ingress", text); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"ftp://x", "http://", "http://x/path", "http://u:p@x", "x:", "x:port", "x:0", "x:70000", "a b", "x/y", ":80", "a:b:c", "http://x?y"} {
		if got, err := parseIngress("--ingress", text); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q is taken for %q (%v)", text, got, err)
		}
	}
}

func TestClusterLocal(t *testing.T) {
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
		if clusterLocal(u) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
