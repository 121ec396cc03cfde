package app

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// ParsePath reads the path and query of a request so that they are sent as they are given: an escaped slash stays
// escaped and a doubled one doubled. Only what HTTP cannot carry is escaped.
func ParsePath(text string) (*url.URL, error) {
	text, query, _ := strings.Cut(escapeUnsendable(text), "?")
	if !strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	path, err := url.PathUnescape(text)
	if err != nil {
		return nil, fault.New(fault.Usage, "invoke.path", text, "%w", err).WithHint("a percent sign is written %%25")
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
