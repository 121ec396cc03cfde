package router

import (
	"net/http"
	"time"
)

// The limits of a server that anybody may talk to. There is none on the length
// of a request or an answer: streams are long, and revisions have limits of their own.
const (
	headerTime    = 10 * time.Second
	idleTime      = 2 * time.Minute
	maxHeaderSize = 60 << 10 // what Envoy takes
	maxStreams    = 250
)

// NewServer returns a server for HTTP/1.1 and HTTP/2, both in cleartext, that
// neither slow nor excessive headers keep busy.
func NewServer(handler http.Handler) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeaderSize,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
}
