package app

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
		u, err := ParsePath(given)
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
	if _, err := ParsePath("/100%"); fault.KindOf(err) != fault.Usage {
		t.Errorf("half an escape: %v", err)
	}
}
