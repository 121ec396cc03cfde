// Package config reads kn-lite's settings and knows their precedence: a flag,
// KN_LITE_* in the environment, func.yaml, the user's file, the default. Flags are
// applied by the commands; where func.yaml has a setting too, its value is passed in.
package config

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Config is the settings after all sources have been merged.
type Config struct {
	File string // the user's file, whether it exists or not

	Namespace          string              // where services go when nothing else says so
	AuthFile           string              // docker config.json with credentials
	CAFile             string              // PEM bundle trusted in addition to the system's
	RegistryCerts      []string            // client certificates: HOST[:PORT]=CERT[,KEY]
	InsecureRegistries []string            // hosts (host or host:port) spoken to in plain HTTP
	Mirrors            map[string][]string // registry host → places to try before it, in order
	BuilderImage       string              // kn-lite's own image, for builds in the cluster
	CacheRepository    string              // keeps the layers of Dockerfiles' steps for other machines
	SignKey            string              // private key that images are signed with
	VerifyKey          string              // public key that signatures have to fit
	RequireSigned      bool                // deploy refuses an image that is not signed with VerifyKey
	Ingress            string              // host:port of the cluster's ingress, when DNS does not know it

	Warnings []string // what the user should hear about, once

	registry ranked
	bases    map[string]ranked // by language
}

// Sources is where settings come from.
type Sources struct {
	Env  func(string) string
	Vars []string // the whole environment as KEY=value, to find what is misspelled; may be nil
}

// Dir is where the user's settings live: $XDG_CONFIG_HOME/kn-lite, else
// ~/.config/kn-lite, on Windows %AppData%\kn-lite. It is "" where none of them is
// an absolute path: settings below the working folder would be those of whoever
// wrote the project.
func Dir(env func(string) string) string {
	return userDir(env("XDG_CONFIG_HOME"), env("AppData"), env("HOME"), ".config")
}

// CacheDir is where results that can be made again are kept:
// $XDG_CACHE_HOME/kn-lite, else ~/.cache/kn-lite, on Windows %LocalAppData%\kn-lite;
// "" as for Dir.
func CacheDir(env func(string) string) string {
	return userDir(env("XDG_CACHE_HOME"), env("LocalAppData"), env("HOME"), ".cache")
}

func userDir(xdg, windows, home, below string) string {
	for _, base := range []string{xdg, windows} {
		// A relative path is to be ignored, says the XDG specification.
		if filepath.IsAbs(base) {
			return filepath.Join(base, "kn-lite")
		}
	}
	if !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, below, "kn-lite")
}

func settingsFile(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "config.yaml")
}

// Load reads the settings. Without a file they come from the environment alone;
// a file that is broken, or is named and not there, is an error, and so are keys
// and variables that would have no effect.
func Load(src Sources) (*Config, error) {
	warnings, err := checkVariables(src.Vars)
	if err != nil {
		return nil, err
	}
	file, named := src.Env("KN_LITE_CONFIG"), true
	if file == "" {
		file, named = settingsFile(Dir(src.Env)), false
	}
	d, err := readFile(file, named)
	if err != nil {
		return nil, err
	}
	text := func(key string) string { return first(src.Env(variableOf(key)), d.scalars[key]) }
	cfg := &Config{
		File:               file,
		Namespace:          first(src.Env("KN_LITE_NAMESPACE"), src.Env("FUNC_NAMESPACE"), d.scalars["namespace"]),
		AuthFile:           text("authFile"),
		CAFile:             text("registryCA"),
		BuilderImage:       text("builderImage"),
		CacheRepository:    text("cacheRepo"),
		SignKey:            text("signKey"),
		VerifyKey:          text("verifyKey"),
		Ingress:            text("ingress"),
		InsecureRegistries: d.lists["insecureRegistries"],
		RegistryCerts:      pairs(d.names["registryCerts"]),
		Mirrors:            d.named["mirrors"],
		Warnings:           warnings,
		registry:           ranked{src.Env("KN_LITE_REGISTRY"), src.Env("FUNC_REGISTRY"), d.scalars["registry"]},
		bases:              map[string]ranked{},
	}
	for _, language := range Languages() {
		cfg.bases[language] = ranked{src.Env(baseImageVariable + strings.ToUpper(language)), "", d.names["baseImages"][language]}
	}
	required := first(text("requireSigned"), "false")
	if cfg.RequireSigned, err = strconv.ParseBool(required); err != nil {
		// Whoever meant yes must not get no.
		where := "KN_LITE_REQUIRE_SIGNED"
		if src.Env(where) == "" {
			where = file + ": requireSigned"
		}
		return nil, fault.New(fault.Usage, "config.load", where, "%q is neither true nor false", required)
	}
	if hosts := src.Env("KN_LITE_INSECURE_REGISTRIES"); hosts != "" {
		cfg.InsecureRegistries = splitList(hosts)
	}
	if certs := split(src.Env("KN_LITE_REGISTRY_CERT"), ";"); certs != nil {
		cfg.RegistryCerts = certs
	}
	return cfg, nil
}

// ranked is a setting that func.yaml can have too: its variable, func's own
// variable, and the user's file.
type ranked struct{ variable, funcVariable, file string }

// over is the setting where func.yaml says project, "" for nothing.
func (r ranked) over(project string) string {
	return first(r.variable, r.funcVariable, project, r.file)
}

// Registry is the prefix of image names where func.yaml says project, e.g.
// registry.example/team; "" is none.
func (c *Config) Registry(project string) string {
	return strings.TrimRight(c.registry.over(project), "/")
}

// BaseImage is the base image of a language where func.yaml says project; "" is
// the language's own.
func (c *Config) BaseImage(language, project string) string {
	own := c.bases[language]
	if language == "typescript" {
		// Both run on Node.js: what suits one suits the other.
		node := c.bases["node"]
		own = ranked{first(own.variable, node.variable), "", first(own.file, node.file)}
	}
	return own.over(project)
}

func variableOf(key string) string {
	for _, s := range settings() {
		if s.key == key {
			return s.variable
		}
	}
	return ""
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// splitList reads a list that is separated by commas.
func splitList(text string) []string { return split(text, ",") }

func split(text, separator string) (out []string) {
	for part := range strings.SplitSeq(text, separator) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
