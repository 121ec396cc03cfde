// Package staticbase is the image that static binaries stand on, made from
// embedded data: certificate authorities, a temp folder and a user that is not
// root. Nothing is pulled for it, and it is the same for every platform.
package staticbase

import (
	"bytes"
	"encoding/pem"
	"io/fs"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// UID is the user and group that images run as: the number that distroless
// images call nonroot.
const UID = "65532"

const passwd = `root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:` + UID + `:` + UID + `:nonroot:/home/nonroot:/sbin/nologin
`

const group = `root:x:0:
nobody:x:65534:
nonroot:x:` + UID + `:
`

// Files is the content of the base layer.
func Files() []layer.File {
	return []layer.File{
		layer.Bytes("etc/group", 0o644, []byte(group)),
		// Without this file C libraries ask DNS before /etc/hosts.
		layer.Bytes("etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n")),
		layer.Bytes("etc/passwd", 0o644, []byte(passwd)),
		layer.Bytes("etc/ssl/certs/ca-certificates.crt", 0o644, Authorities()),
		layer.Dir("home/nonroot", 0o755),
		layer.Dir("tmp", fs.ModeSticky|0o777),
	}
}

// Authorities returns Mozilla's list of certificate authorities as PEM, as the Go team keeps it.
// Authorities that browsers trust for some certificates only are left out: a PEM
// file cannot say "only those issued before".
func Authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		// Writing to memory cannot fail.
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
	}
	return out.Bytes()
}
