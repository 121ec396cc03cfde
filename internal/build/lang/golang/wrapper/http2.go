//go:build go1.24

package wrapper

import "net/http"

// allowHTTP2 accepts HTTP/2 without TLS beside HTTP/1.1: Knative speaks it to
// the container when the port is named h2c.
func allowHTTP2(server *http.Server) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
}
