package secret

import (
	"math"
	"net/url"
	"regexp"
	"strings"
)

// inSetting judges a value by the name that it stands under.
func inSetting(key, value string) string {
	if userinfo(value) {
		return "a URL with a password"
	}
	if embedded(key) || placeholder(value) {
		return ""
	}
	switch sensitivity(key) {
	case password:
		if !strings.Contains(value, " ") && !reference(value) {
			return "a value of " + key
		}
	case keyLike:
		if random(value) && !reference(value) {
			return "a value of " + key
		}
	}
	return ""
}

const (
	harmless = iota
	keyLike  // a key, which may be a public one or a word: its value decides
	password
)

// sensitivity judges a name by the word that it ends with: password_file and
// tokenUrl are where secrets are, not secrets.
func sensitivity(key string) int {
	name := strings.ToLower(regexp.MustCompile(`[^A-Za-z]`).ReplaceAllString(key[strings.LastIndexAny(key, "./:")+1:], ""))
	for _, suffix := range []string{"value", "data", "base", "text"} { // base: of base64
		name = strings.TrimSuffix(name, suffix)
	}
	if strings.Contains(name, "public") || strings.Contains(name, "publishable") || strings.HasSuffix(name, "bypass") || strings.HasSuffix(name, "compass") {
		return harmless
	}
	for _, word := range []string{
		"password", "passwd", "pwd", "pass", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey", "clientkey",
		"credential", "credentials", "connectionstring", "accountkey", "sharedkey", "presharedkey", "encryptionkey", "masterkey", "signingkey",
	} {
		if strings.HasSuffix(name, word) {
			return password
		}
	}
	if name == "auth" || strings.HasSuffix(name, "key") || name == "dsn" {
		return keyLike
	}
	return harmless
}

// embedded reports whether front ends write the variable into what every browser
// gets, so that it is no secret to begin with.
func embedded(key string) bool {
	key = strings.ToUpper(key)
	for _, prefix := range []string{"VITE_", "NEXT_PUBLIC_", "REACT_APP_", "GATSBY_", "NUXT_PUBLIC_", "EXPO_PUBLIC_", "PUBLIC_"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// placeholder reports whether a value stands for one that comes from elsewhere.
func placeholder(value string) bool {
	low := strings.ToLower(strings.Trim(value, `"' `))
	if strings.Trim(low, "x*.-_?") == "" || strings.HasPrefix(low, "$") || strings.HasPrefix(low, "%") && strings.HasSuffix(low, "%") {
		return true
	}
	if strings.Contains(low, "{{") || strings.Contains(low, "${") || strings.HasPrefix(low, "<") && strings.HasSuffix(low, ">") {
		return true
	}
	switch low {
	case "true", "false", "yes", "no", "null", "none", "nil", "~", "|", ">", "|-", ">-", "todo", "tbd", "undefined":
		return true
	}
	for _, word := range []string{"changeme", "change-me", "change_me", "your-", "your_", "yoursecret", "yourpassword", "yourtoken", "example", "placeholder", "replace", "insert", "dummy", "redacted"} {
		if strings.HasPrefix(low, word) {
			return true
		}
	}
	return false
}

// reference reports whether a value says where a secret is: a path, a URL, the
// notation of a secret manager, or a text that is encrypted.
func reference(value string) bool {
	for _, prefix := range []string{"/", "./", "../", "~/", "http://", "https://", "file:", "env:", "vault:", "op://", "ref+", "arn:", "projects/", "ENC[", "sops:", "secretref:", "keyring:", "@Microsoft.KeyVault"} {
		if strings.HasPrefix(value, prefix) {
			return true
		}
	}
	return false
}

// userinfo reports whether value is a URL with a password in it, for another host
// than this one.
func userinfo(value string) bool {
	scheme := strings.Index(value, "://")
	if scheme <= 0 || !strings.Contains(value[scheme:], "@") {
		return false
	}
	u, err := url.Parse(value)
	if err != nil || u.User == nil {
		return false
	}
	password, has := u.User.Password()
	return has && !placeholder(password) && u.Hostname() != "localhost" && u.Hostname() != "127.0.0.1"
}

// random reports whether a value looks as if a machine had made it: long, without
// spaces, and with at least 3 bits of entropy in each character.
func random(value string) bool {
	if len(value) < 16 || strings.ContainsAny(value, " \t") {
		return false
	}
	counts := map[rune]float64{}
	total := 0.0
	for _, r := range value {
		counts[r]++
		total++
	}
	bits := 0.0
	for _, n := range counts {
		bits -= n / total * math.Log2(n/total)
	}
	return bits >= 3
}
