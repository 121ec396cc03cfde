// Package settings reads kn-lite's settings and knows their precedence: a flag,
// KN_LITE_* in the environment, func.yaml, the user's file, the default. Flags are
// applied by the commands; where func.yaml has a setting too, its value is passed in.
//
// The file is checked by its nodes before viper merges it: viper takes what it does
// not know, folds the case of keys and has no line numbers. It never sees func.yaml,
// where the case of keys matters.
package settings

import (
	"maps"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/viper"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Settings is the settings after all sources have been merged.
type Settings struct {
	File string // the user's file, whether it exists or not

	Namespace          string              // where services go when nothing else says so
	AuthFile           string              // docker config.json with credentials
	CAFile             string              // PEM bundle trusted in addition to the system's
	RegistryCerts      []string            // client certificates: HOST[:PORT]=CERT[,KEY]
	InsecureRegistries []string            // hosts (host or host:port) spoken to in plain HTTP
	Mirrors            map[string][]string // registry host → places to try before it, in order
	BuilderImage       string              // kn-lite's own image, for builds in the cluster
	KanikoImage        string              // kaniko's executor, for builds with it in the cluster
	CacheRepository    string              // keeps the layers of Dockerfiles' steps for other machines
	SignKey            string              // private key that images are signed with
	VerifyKey          string              // public key that signatures have to fit
	RequireSigned      bool                // deploy refuses an image that is not signed with VerifyKey
	Ingress            string              // host:port of the cluster's ingress, when DNS does not know it

	Warnings []string // what the user should hear about, once

	fromFile      map[string]any    // by key, as viper merges it
	fromVariables map[string]string // by path of keys
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

// StateDir is where what has to outlast a restart of the machine is kept:
// $XDG_STATE_HOME/kn-lite, else ~/.local/state/kn-lite; "" as for Dir.
func StateDir(env func(string) string) string {
	return userDir(env("XDG_STATE_HOME"), env("LocalAppData"), env("HOME"), filepath.Join(".local", "state"))
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
func Load(src Sources) (*Settings, error) {
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
	cfg := &Settings{File: file, Warnings: warnings, fromFile: d.values, fromVariables: variables(src.Env)}
	return cfg, cfg.read(src.Env)
}

// variables are the settings that the environment has, by path of keys.
func variables(env func(string) string) map[string]string {
	out := map[string]string{}
	for _, s := range settings() {
		for _, name := range s.variables {
			if value := env(name); value != "" && out[s.key] == "" {
				out[s.key] = value
			}
		}
	}
	for _, language := range Languages() {
		if value := env(baseImageVariable + strings.ToUpper(language)); value != "" {
			out[baseImagePath(language)] = value
		}
	}
	// Both run on Node.js: what suits one suits the other.
	if node, typescript := out[baseImagePath("node")], baseImagePath("typescript"); node != "" && out[typescript] == "" {
		out[typescript] = node
	}
	return out
}

// read fills in the settings that func.yaml cannot have.
func (c *Settings) read(env func(string) string) (err error) {
	v := c.merged(nil)
	c.Namespace = v.GetString("namespace")
	c.AuthFile = v.GetString("authFile")
	c.CAFile = v.GetString("registryCA")
	c.BuilderImage = v.GetString("builderImage")
	c.KanikoImage = v.GetString("kanikoImage")
	c.CacheRepository = v.GetString("cacheRepo")
	c.SignKey = v.GetString("signKey")
	c.VerifyKey = v.GetString("verifyKey")
	c.Ingress = v.GetString("ingress")
	c.InsecureRegistries = v.GetStringSlice("insecureRegistries")
	c.RegistryCerts = v.GetStringSlice("registryCerts")
	c.Mirrors = v.GetStringMapStringSlice("mirrors")
	required := v.GetString("requireSigned")
	if c.RequireSigned, err = strconv.ParseBool(required); err != nil {
		// Whoever meant yes must not get no.
		where := "KN_LITE_REQUIRE_SIGNED"
		if env(where) == "" {
			where = c.File + ": requireSigned"
		}
		return fault.New(fault.Usage, "config.load", where, "%q is neither true nor false", required)
	}
	return nil
}

// keySeparator is between the keys of a path; host names are keys, and have dots.
const keySeparator = "::"

// merged is all settings where func.yaml has those in project, weakest first: the
// default, the user's file, func.yaml, variables.
func (c *Settings) merged(project map[string]any) *viper.Viper {
	v := viper.NewWithOptions(viper.KeyDelimiter(keySeparator))
	v.SetDefault("requireSigned", "false")
	for _, layer := range []map[string]any{c.fromFile, project} {
		// It writes into what it is given, and has no error but nil.
		_ = v.MergeConfigMap(maps.Clone(layer))
	}
	for path, value := range c.fromVariables {
		if separator := separatorOf(path); separator != "" {
			v.Set(path, split(value, separator))
		} else {
			v.Set(path, value)
		}
	}
	return v
}

// Registry is the prefix of image names where func.yaml says project, e.g.
// registry.example/team; "" is none.
func (c *Settings) Registry(project string) string {
	var layer map[string]any
	if project != "" {
		layer = map[string]any{"registry": project}
	}
	return strings.TrimRight(c.merged(layer).GetString("registry"), "/")
}

// BaseImage is the base image of a language where func.yaml says project; "" is
// the language's own.
func (c *Settings) BaseImage(language, project string) string {
	var layer map[string]any
	if project != "" {
		layer = map[string]any{baseImages: map[string]any{language: project}}
	}
	return c.merged(layer).GetString(baseImagePath(language))
}

func baseImagePath(language string) string { return baseImages + keySeparator + language }

// separatorOf is what stands between the values of a variable that has several.
func separatorOf(key string) string {
	switch formOf(key) {
	case list:
		return ","
	case byName:
		return ";"
	default:
		return ""
	}
}

// split reads the values of a variable that has several.
func split(text, separator string) (out []string) {
	for part := range strings.SplitSeq(text, separator) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
