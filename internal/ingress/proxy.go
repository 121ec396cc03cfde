package ingress

import (
	"cmp"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// Proxy returns what HTTP_PROXY, HTTPS_PROXY and NO_PROXY of an environment say, as
// http.Transport takes it. No proxy leads to this machine.
func Proxy(env func(string) string) func(*http.Request) (*url.URL, error) {
	return func(request *http.Request) (*url.URL, error) {
		if ip := net.ParseIP(spelledOut(request.URL.Hostname())); ip.IsLoopback() {
			return nil, nil
		}
		config := httpproxy.Config{
			HTTPProxy:  cmp.Or(env("HTTP_PROXY"), env("http_proxy")),
			HTTPSProxy: cmp.Or(env("HTTPS_PROXY"), env("https_proxy")),
			NoProxy:    cmp.Or(env("NO_PROXY"), env("no_proxy")),
		}
		return config.ProxyFunc()(request.URL)
	}
}
