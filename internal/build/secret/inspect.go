package secret

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxSize is how much of a file Inspect is given.
const MaxSize = 1 << 20

// Inspect returns what makes the content of a file of that class a secret, in a few
// words, or "".
func Inspect(class Class, content []byte) string {
	switch class {
	case Ordinary:
		return ""
	case Certain:
		return "its name"
	case Listing:
		return inListing(content)
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if privateKey(content) {
		return "a private key"
	}
	if what := token(content); what != "" {
		return what
	}
	if class == Template {
		return ""
	}
	found, understood := settings(content)
	if found != "" {
		return found
	}
	if class == Strict && !understood && !public(content) {
		return "its name, and content that cannot be judged"
	}
	return ""
}

// inListing looks at all URLs, whatever the form of the file.
func inListing(content []byte) string {
	for _, url := range regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>,;]+`).FindAllString(string(content), -1) {
		if userinfo(url) {
			return "a URL with a password"
		}
	}
	return ""
}

func privateKey(content []byte) bool {
	return regexp.MustCompile(`-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY`).Match(content)
}

// public reports whether content is certificates or public keys and nothing else:
// PEM, DER or SSH's form.
func public(content []byte) bool {
	if block, _ := pem.Decode(content); block != nil {
		return true // of a private key Inspect knows already
	}
	if _, err := x509.ParseCertificates(content); err == nil && len(content) > 0 {
		return true
	}
	if _, err := x509.ParsePKIXPublicKey(content); err == nil {
		return true
	}
	return regexp.MustCompile(`^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-\S+) AAAA`).Match(content)
}

// settings looks for passwords in a file of settings, and says whether all of it was
// understood.
func settings(content []byte) (found string, understood bool) {
	if len(bytes.TrimSpace(content)) == 0 {
		return "", true
	}
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return "", false
	}
	var document any
	if json.Unmarshal(content, &document) == nil {
		if _, structured := document.(map[string]any); structured {
			return inDocument("", document), true
		}
	}
	if text := bytes.TrimSpace(content); bytes.HasPrefix(text, []byte("<")) {
		if found, understood = inXML(text); found != "" || understood {
			return found, understood
		}
	}
	understood = true
	for line := range strings.Lines(string(content)) {
		what, ok := inLine(strings.TrimSpace(line))
		if what != "" {
			return what, true
		}
		understood = understood && ok
	}
	return "", understood
}

func inDocument(key string, value any) string {
	switch v := value.(type) {
	case map[string]any:
		for k, below := range v {
			if what := inDocument(k, below); what != "" {
				return what
			}
		}
	case []any:
		for _, below := range v {
			if what := inDocument(key, below); what != "" {
				return what
			}
		}
	case string:
		return inSetting(key, v)
	}
	return ""
}

func inXML(content []byte) (found string, understood bool) {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	element := ""
	for {
		next, err := decoder.Token()
		if err != nil {
			return "", errors.Is(err, io.EOF)
		}
		switch t := next.(type) {
		case xml.StartElement:
			element = t.Name.Local
			key, value := "", ""
			for _, a := range t.Attr {
				switch strings.ToLower(a.Name.Local) {
				case "key", "name":
					key = a.Value
				case "value":
					value = a.Value
				default:
					if what := inSetting(a.Name.Local, a.Value); what != "" {
						return what, true
					}
				}
			}
			if what := inSetting(key, value); what != "" {
				return what, true
			}
		case xml.CharData:
			if what := inSetting(element, strings.TrimSpace(string(t))); what != "" {
				return what, true
			}
		}
	}
}

// inLine looks at a line of an ini, properties, env, TOML or YAML file, or of the
// form that yarn has: a name and a value in quotes.
func inLine(line string) (found string, understood bool) {
	if line == "" || strings.ContainsAny(line[:1], "#;[{}]!,") || strings.HasPrefix(line, "//") && !strings.Contains(line, "=") || strings.HasPrefix(line, "---") {
		return "", true
	}
	// A block or a directive, as servers' configurations have them.
	if strings.HasSuffix(line, "{") || strings.HasPrefix(line, "<") && strings.HasSuffix(line, ">") {
		return "", true
	}
	if directive, ok := strings.CutSuffix(line, ";"); ok && !strings.Contains(directive, "=") {
		words := strings.Fields(directive)
		return inSetting(words[0], strings.Join(words[1:], " ")), true
	}
	for _, word := range []string{"export ", "set ", "- "} {
		line = strings.TrimSpace(strings.TrimPrefix(line, word))
	}
	at := strings.Index(line, "=")
	if colon := strings.Index(line+" ", ": "); colon >= 0 && (at < 0 || colon < at) {
		at = colon
	}
	fields := strings.Fields(line)
	if at < 0 && len(fields) != 2 {
		at = strings.Index(line, ":")
	}
	var key, value string
	switch {
	case at >= 0:
		key, value = line[:at], line[at+1:]
	case len(fields) == 2:
		key, value = fields[0], fields[1]
	default:
		return "", false
	}
	key = strings.Trim(strings.TrimSpace(key), `"'`)
	value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), ","))
	if quoted := strings.IndexByte(`"'`, (value + " ")[0]); quoted >= 0 {
		if end := strings.LastIndexByte(value, value[0]); end > 0 {
			value = value[1:end]
		}
	} else if comment := strings.Index(value, " #"); comment >= 0 {
		value = strings.TrimSpace(value[:comment])
	}
	return inSetting(key, value), key != "" && !strings.ContainsAny(key, " \t")
}
