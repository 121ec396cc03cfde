// Package loopback knows the names of this machine that nobody else can take: what a
// server on loopback answers to, so that no name that was made to lead to it (DNS
// rebinding) gets an answer.
package loopback

import (
	"net"
	"strings"
)

// IsHost reports whether a Host header, with or without a port, is localhost or an
// address of loopback.
func IsHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}
