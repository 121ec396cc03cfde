package ingress

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// ParseAddress takes HOST, HOST:PORT, or either as an http or https URL, and returns
// HOST or HOST:PORT. Its error is of kind Usage and does not say where text is from.
func ParseAddress(text string) (string, error) {
	wrong := fault.New(fault.Usage, "ingress.address", "", "%q is not the address of an ingress", text).
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

// IsPrivate reports whether a service's URL means something inside its cluster
// only: NAME.NAMESPACE.svc, or that with the cluster's domain.
func IsPrivate(u *url.URL) bool {
	labels := strings.Split(u.Hostname(), ".")
	return len(labels) >= 3 && labels[2] == "svc"
}
