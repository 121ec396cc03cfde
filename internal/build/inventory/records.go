package inventory

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/attest"
)

// installed reports whether a package.json is that of a package which npm has put
// there, and not one of the many that lie inside of packages.
func installed(name string) bool {
	dir := path.Dir(path.Dir(name))
	if strings.HasPrefix(path.Base(dir), "@") {
		dir = path.Dir(dir)
	}
	return path.Base(dir) == "node_modules"
}

func (f *Found) npmPackage(name string, text []byte) {
	var p struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	f.Files[name] = nil
	if json.Unmarshal(text, &p) == nil && p.Name != "" && p.Version != "" {
		f.Files[name] = placed([]attest.Package{attest.NPM(p.Name, p.Version)}, name)
	}
}

func (f *Found) npmLock(name string, text []byte) {
	var lock struct {
		Packages map[string]struct {
			Resolved  string `json:"resolved"`
			Integrity string `json:"integrity"`
		} `json:"packages"`
	}
	if json.Unmarshal(text, &lock) != nil {
		return
	}
	said := map[string]Locked{}
	for folder, p := range lock.Packages {
		if l := (Locked{URL: publicURL(p.Resolved), Checksums: integrity(p.Integrity)}); folder != "" && (l.URL != "" || l.Checksums != nil) {
			said[folder] = l
		}
	}
	f.Locks[name] = said
}

// publicURL is a URL without what may be a password; "" for what is none.
func publicURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// integrity reads subresource integrity, as in sha512-BASE64 sha1-BASE64.
func integrity(text string) []attest.Checksum {
	var out []attest.Checksum
	for _, field := range strings.Fields(text) {
		algorithm, value, _ := strings.Cut(field, "-")
		raw, err := base64.StdEncoding.DecodeString(value)
		if err == nil && slices.Contains([]string{"sha1", "sha256", "sha384", "sha512"}, algorithm) {
			out = append(out, attest.Checksum{Algorithm: strings.ToUpper(algorithm), Value: hex.EncodeToString(raw)})
		}
	}
	return out
}

// enriched adds what the nearest lockfile above a package says about it.
func enriched(p attest.Package, file string, locks map[string]map[string]Locked) attest.Package {
	at, _, _ := strings.Cut(file, "node_modules/")
	for _, lock := range []string{"npm-shrinkwrap.json", "package-lock.json"} {
		if said, ok := locks[at+lock][strings.TrimPrefix(path.Dir(file), at)]; ok {
			p.URL, p.Checksums = said.URL, said.Checksums
			return p
		}
	}
	return p
}

// distribution reads the header of METADATA
// (https://packaging.python.org/en/latest/specifications/core-metadata).
func (f *Found) distribution(name string, text []byte) {
	f.Files[name] = nil
	for fields := range stanzas(text) {
		if fields["Name"] != "" && fields["Version"] != "" {
			f.Files[name] = placed([]attest.Package{attest.PyPI(fields["Name"], fields["Version"])}, name)
		}
		return // what follows is the description
	}
}

func (f *Found) dpkg(name string, text []byte) {
	var out []attest.Package
	for fields := range stanzas(text) {
		state := fields["Status"]
		if fields["Package"] == "" || state != "" && !strings.HasSuffix(state, " installed") {
			continue
		}
		p := attest.Package{Type: "deb", Namespace: "debian", Name: fields["Package"], Version: fields["Version"], Qualifiers: "arch=" + fields["Architecture"]}
		if strings.Contains(fields["Maintainer"], "ubuntu.com") {
			p.Namespace = "ubuntu"
		}
		out = append(out, p)
	}
	f.Files[name] = placed(out, name)
}

func (f *Found) apk(name string, text []byte) {
	var out []attest.Package
	for fields := range stanzas(text) {
		if fields["P"] != "" {
			out = append(out, attest.Package{Type: "apk", Namespace: "alpine", Name: fields["P"], Version: fields["V"], Qualifiers: "arch=" + fields["A"]})
		}
	}
	f.Files[name] = placed(out, name)
}

func (f *Found) osRelease(_ string, text []byte) {
	p := properties(text)
	if id := strings.Trim(p["ID"], `"'`); id != "" {
		f.System = &System{ID: id, Version: strings.Trim(p["VERSION_ID"], `"'`)}
	}
}

// distributed says which distribution a package is of, where that is known.
func distributed(p attest.Package, system *System) attest.Package {
	if system == nil {
		return p
	}
	p.Namespace = system.ID
	if system.Version != "" {
		p.Qualifiers += "&distro=" + system.ID + "-" + url.QueryEscape(system.Version)
	}
	return p
}

// stanzas are groups of KEY:VALUE lines with an empty line between them, as
// mail has them. Lines that go on are left out: no field of ours does.
func stanzas(text []byte) func(yield func(map[string]string) bool) {
	return func(yield func(map[string]string) bool) {
		fields := map[string]string{}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, maxRecord)
		for lines.Scan() {
			line := strings.TrimRight(lines.Text(), "\r")
			if line == "" {
				if len(fields) > 0 && !yield(fields) {
					return
				}
				fields = map[string]string{}
				continue
			}
			if key, value, ok := strings.Cut(line, ":"); ok && line[0] != ' ' && line[0] != '\t' && fields[key] == "" {
				fields[key] = strings.TrimSpace(value)
			}
		}
		if len(fields) > 0 {
			yield(fields)
		}
	}
}
