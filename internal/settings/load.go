// Package settings reads kn-lite's settings, knows where each is from, and has their
// one precedence: a flag, KN_LITE_* in the environment, func.yaml, the user's file, the
// kubeconfig, the default. What flags and func.yaml say is handed in. It edits the
// user's file as well.
//
// The file is checked by its nodes before viper merges it: viper takes what it does
// not know, folds the case of keys and has no line numbers. It never sees func.yaml,
// where the case of keys matters.
package settings

import (
	"path/filepath"
	"strconv"
	"strings"

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

	layers []layer // strongest first
}

// Sources is where settings come from. Given values are by key; all may be nil.
type Sources struct {
	Env        func(string) string
	Vars       []string         // the whole environment as KEY=value, to find what is misspelled
	Flags      map[string]Given // stronger than all others
	Project    map[string]Given // of func.yaml
	Kubeconfig map[string]Given // weaker than all others but the defaults
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
	file, named := userFile(src.Env)
	d, err := readFile(file, named)
	if err != nil {
		return nil, err
	}
	own, funcs := variables(src.Env)
	s := &Settings{File: file, Warnings: warnings, layers: []layer{
		givenLayer(FromFlag, src.Flags), own, funcs, givenLayer(FromProject, src.Project), d.layer(),
		givenLayer(FromKubeconfig, src.Kubeconfig),
		{FromDefault, map[string]entry{requireSigned: {value: "false"}}},
	}}
	return s, s.read()
}

// userFile is the user's file, and whether somebody has named it.
func userFile(env func(string) string) (file string, named bool) {
	if file = env("KN_LITE_CONFIG"); file != "" {
		return file, true
	}
	return settingsFile(Dir(env)), false
}

// variables are the settings that the environment has: in kn-lite's own variables,
// and in func's.
func variables(env func(string) string) (own, funcs layer) {
	own, funcs = layer{FromVariable, map[string]entry{}}, layer{FromVariable, map[string]entry{}}
	for _, s := range settings() {
		for _, name := range s.variables {
			value := env(name)
			if value == "" {
				continue
			}
			e := entry{value: value, name: name}
			if separator := separatorOf(s.key); separator != "" {
				e.value = split(value, separator)
			}
			if strings.HasPrefix(name, "KN_LITE_") {
				own.entries[s.key] = e
			} else {
				funcs.entries[s.key] = e
			}
		}
	}
	for _, language := range Languages() {
		name := baseImageVariable + strings.ToUpper(language)
		if value := env(name); value != "" {
			own.entries[baseImagePath(language)] = entry{value: value, name: name}
		}
	}
	// Both run on Node.js: what suits one suits the other.
	node, typescript := baseImagePath("node"), baseImagePath("typescript")
	if e, ok := own.entries[node]; ok && own.entries[typescript].value == nil {
		own.entries[typescript] = e
	}
	return own, funcs
}

// read fills in the settings that func.yaml cannot have.
func (s *Settings) read() error {
	v := s.merged(nil)
	s.Namespace = v.GetString("namespace")
	s.AuthFile = v.GetString("authFile")
	s.CAFile = v.GetString("registryCA")
	s.BuilderImage = v.GetString("builderImage")
	s.KanikoImage = v.GetString("kanikoImage")
	s.CacheRepository = v.GetString("cacheRepo")
	s.SignKey = v.GetString("signKey")
	s.VerifyKey = v.GetString("verifyKey")
	s.Ingress = v.GetString("ingress")
	s.InsecureRegistries = v.GetStringSlice("insecureRegistries")
	s.RegistryCerts = v.GetStringSlice("registryCerts")
	s.Mirrors = v.GetStringMapStringSlice("mirrors")
	for i, l := range s.layers {
		e, ok := l.entries[requireSigned]
		if !ok {
			continue
		}
		text, _ := e.value.(string)
		required, err := strconv.ParseBool(text)
		if err != nil {
			// Whoever meant yes must not get no.
			where := e.name
			if l.kind == FromFile {
				where = s.File + ": " + requireSigned
			}
			return fault.New(fault.Usage, "config.load", where, "%q is neither true nor false", text)
		}
		s.layers[i].entries[requireSigned] = entry{value: strconv.FormatBool(required), name: e.name}
	}
	s.RequireSigned = s.merged(nil).GetBool(requireSigned)
	return nil
}

// keySeparator is between the keys of a path; host names are keys, and have dots.
const keySeparator = "::"

// Registry is the prefix of image names where func.yaml says project, e.g.
// registry.example/team; "" is none.
func (s *Settings) Registry(project string) string {
	return strings.TrimRight(s.merged(map[string]Given{"registry": {Value: project}}).GetString("registry"), "/")
}

// NamespaceOver is the namespace where func.yaml says project; "" is the kubeconfig
// context's own.
func (s *Settings) NamespaceOver(project string) string {
	return s.merged(map[string]Given{"namespace": {Value: project}}).GetString("namespace")
}

// BuilderOver is the builder where func.yaml says project; "" is the one that suits.
func (s *Settings) BuilderOver(project string) string {
	return s.merged(map[string]Given{"builder": {Value: project}}).GetString("builder")
}

// BaseImage is the base image of a language where func.yaml says project; "" is
// the language's own.
func (s *Settings) BaseImage(language, project string) string {
	path := baseImagePath(language)
	return s.merged(map[string]Given{keyOf(path): {Value: project}}).GetString(path)
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
