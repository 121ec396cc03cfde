// Package loopback knows the names of this machine that nobody else can take: what a
// server on loopback answers to, so that no name that was made to lead to it (DNS
// rebinding) gets an answer, and what a client may reach without TLS.
package loopback

import (
	"net"
	"strings"
)

// IsHost reports whether host, with or without a port, is localhost or an address of
// loopback.
func IsHost(host string) bool {
	name := Hostname(host)
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// Hostname returns host without its port and without the brackets of IPv6.
func Hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
