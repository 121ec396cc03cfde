package cli

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// parsePath reads --path so that it is sent as it is given: an escaped slash stays
// escaped and a doubled one doubled. Only what HTTP cannot carry is escaped.
func parsePath(text string) (*url.URL, error) {
	text, query, _ := strings.Cut(escapeUnsendable(text), "?")
	if !strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	path, err := url.PathUnescape(text)
	if err != nil {
		return nil, fault.Usagef("--path %s: %w", text, err).WithHint("a percent sign is written %%25")
	}
	return &url.URL{Path: path, RawPath: text, RawQuery: query}, nil
}

// escapeUnsendable escapes spaces, control characters, bytes beyond ASCII and '#',
// which would begin a fragment; a request line has none of them (RFC 9112, 3.2).
func escapeUnsendable(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// ingressAddress returns the HOST or HOST:PORT of --ingress, else of the setting,
// else "".
func (f *Factory) ingressAddress(flag string) (string, error) {
	if flag != "" {
		return parseIngress("--ingress", flag)
	}
	cfg, err := f.Config()
	if err != nil || cfg.Ingress == "" {
		return "", err
	}
	return parseIngress("the setting ingress (KN_LITE_INGRESS)", cfg.Ingress)
}

// parseIngress takes HOST, HOST:PORT, or either as an http or https URL.
func parseIngress(source, text string) (string, error) {
	wrong := fault.Usagef("%s %q is not the address of an ingress", source, text).
		WithHint("write HOST or HOST:PORT, e.g. 127.0.0.1:8080, or http://HOST:PORT")
	address := text
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return "", wrong
		}
		if address = u.Host; u.Scheme == "https" && u.Port() == "" {
			address += ":443"
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), ""
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", wrong
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) || port == "" && strings.HasSuffix(address, ":") {
		return "", wrong
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n/@?#") {
		return "", wrong
	}
	return address, nil
}

// clusterLocal reports whether a service's URL means something inside its cluster
// only: NAME.NAMESPACE.svc, or that with the cluster's domain.
func clusterLocal(u *url.URL) bool {
	labels := strings.Split(u.Hostname(), ".")
	return len(labels) >= 3 && labels[2] == "svc"
}

// proxyFor is what HTTP_PROXY, HTTPS_PROXY and NO_PROXY of f's environment say.
// None leads to this machine.
func (f *Factory) proxyFor(request *http.Request) (*url.URL, error) {
	if ip := net.ParseIP(spelledOut(request.URL.Hostname())); ip.IsLoopback() {
		return nil, nil
	}
	config := httpproxy.Config{
		HTTPProxy:  cmp.Or(f.Sys.Env("HTTP_PROXY"), f.Sys.Env("http_proxy")),
		HTTPSProxy: cmp.Or(f.Sys.Env("HTTPS_PROXY"), f.Sys.Env("https_proxy")),
		NoProxy:    cmp.Or(f.Sys.Env("NO_PROXY"), f.Sys.Env("no_proxy")),
	}
	return config.ProxyFunc()(request.URL)
}
