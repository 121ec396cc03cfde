package python

import (
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// credentials finds the user and password for an index where uv, Poetry and pipenv
// look for them. pip itself knows netrc, its own settings and the keyring. They are
// for pip's ears only: nothing of them is part of a key, a layer or a document.
type credentials struct {
	environ []string
	named   map[string]string // indexes of the project, by name
	secrets []string          // what must not be shown
}

// address returns an index's address with user and password, if they are known
// and it has none.
func (c *credentials) address(index string) (string, error) {
	if index == "" {
		return "", nil
	}
	expanded, err := c.expand(index)
	if err != nil {
		return "", err
	}
	parsed, err := url.Parse(expanded)
	if err != nil || parsed.Host == "" {
		return "", fault.New(fault.Usage, "build.python", lockfile.Redact(index), "not the address of an index")
	}
	if parsed.User == nil {
		parsed.User = c.find(parsed)
	}
	if password, ok := parsed.User.Password(); ok && password != "" {
		c.secrets = append(c.secrets, password, url.QueryEscape(password), url.PathEscape(password))
	}
	return parsed.String(), nil
}

// expand puts in variables, as pipenv and pdm write them in addresses.
func (c *credentials) expand(address string) (string, error) {
	var missing string
	out := regexp.MustCompile(`\$\{(\w+)\}|\$(\w+)`).ReplaceAllStringFunc(address, func(found string) string {
		name := strings.Trim(found, "${}")
		value := lang.Lookup(c.environ, name)
		if value == "" {
			missing = name
		} else {
			c.secrets = append(c.secrets, value)
		}
		return url.PathEscape(value)
	})
	if missing != "" {
		return "", fault.New(fault.Auth, "build.python", lockfile.Redact(address), "the address needs the variable %s, which is not set", missing)
	}
	return out, nil
}

// find looks for the user of an index.
func (c *credentials) find(index *url.URL) *url.Userinfo {
	for name, address := range c.named {
		if expanded, err := c.expand(address); err != nil || !covers(expanded, index) {
			continue
		} else if user := userOf(expanded); user != nil {
			return user
		}
		if user := c.ofName(name); user != nil {
			return user
		}
	}
	for _, name := range []string{"UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"} {
		for address := range strings.FieldsSeq(lang.Lookup(c.environ, name)) {
			if before, after, ok := strings.Cut(address, "="); ok && !strings.Contains(before, ":") {
				if address = after; covers(address, index) && userOf(address) == nil {
					return c.ofName(before)
				}
			}
			if covers(address, index) && userOf(address) != nil {
				return userOf(address)
			}
		}
	}
	return nil
}

// ofName returns the user that uv's and Poetry's variables, or Poetry's file, have
// for a named index (https://docs.astral.sh/uv/concepts/indexes/,
// https://python-poetry.org/docs/repositories/).
func (c *credentials) ofName(name string) *url.Userinfo {
	upper := regexp.MustCompile(`[^A-Z0-9]`).ReplaceAllString(strings.ToUpper(name), "_")
	for _, prefix := range []string{"UV_INDEX_", "POETRY_HTTP_BASIC_"} {
		user, password := lang.Lookup(c.environ, prefix+upper+"_USERNAME"), lang.Lookup(c.environ, prefix+upper+"_PASSWORD")
		if user != "" || password != "" {
			return url.UserPassword(user, password)
		}
	}
	folder := lang.Lookup(c.environ, "POETRY_CONFIG_DIR")
	if folder == "" {
		parent := lang.Lookup(c.environ, "XDG_CONFIG_HOME")
		if home := lang.Lookup(c.environ, "HOME"); parent == "" && home != "" {
			parent = filepath.Join(home, ".config")
		}
		folder = filepath.Join(parent, "pypoetry")
	}
	raw, err := regular.ReadFile(filepath.Join(folder, "auth.toml"))
	var file struct {
		Basic map[string]struct{ Username, Password string } `toml:"http-basic"`
	}
	if err != nil || toml.Unmarshal(raw, &file) != nil {
		return nil
	}
	if found, ok := file.Basic[name]; ok {
		return url.UserPassword(found.Username, found.Password)
	}
	return nil
}

// covers reports whether an index's page is one of the index at address.
func covers(address string, page *url.URL) bool {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme != page.Scheme || parsed.Host != page.Host {
		return false
	}
	return strings.HasPrefix(strings.TrimSuffix(page.Path, "/")+"/", strings.TrimSuffix(parsed.Path, "/")+"/")
}

func userOf(address string) *url.Userinfo {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil
	}
	return parsed.User
}

// hide returns a tool's output without what is secret.
func (c *credentials) hide(text string) string {
	secrets := c.secrets
	for _, kv := range c.environ {
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PIP_") || strings.HasPrefix(name, "UV_") {
			for address := range strings.FieldsSeq(value) {
				if user := userOf(address); user != nil {
					password, _ := user.Password()
					secrets = append(secrets, password)
				}
			}
		}
	}
	for _, secret := range secrets {
		if len(secret) > 2 {
			text = strings.ReplaceAll(text, secret, "****")
		}
	}
	return text
}
