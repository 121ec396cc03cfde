// Package config reads kn-lite's settings and knows their precedence:
// KN_LITE_* in the environment, then the user's file, then the default. Flags
// and func.yaml rank above these and are applied by the commands. It is the
// only importer of viper, and viper never reads func.yaml: it folds the case
// of map keys.
package config

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Config is the settings after all sources have been merged.
type Config struct {
	File string // the user's file, whether it exists or not

	Registry           string              // prefix of image names, e.g. registry.example/team
	Namespace          string              // where services go when nothing else says so
	AuthFile           string              // docker config.json with credentials
	CAFile             string              // PEM bundle trusted in addition to the system's
	RegistryCerts      []string            // client certificates: HOST[:PORT]=CERT[,KEY]
	InsecureRegistries []string            // hosts (host or host:port) spoken to in plain HTTP
	BaseImages         map[string]string   // language → base image reference
	Mirrors            map[string][]string // registry host → places to try before it, in order
	BuilderImage       string              // kn-lite's own image, for builds in the cluster
	CacheRepository    string              // keeps the layers of Dockerfiles' steps for other machines
	SignKey            string              // private key that images are signed with
	VerifyKey          string              // public key that signatures have to fit
	RequireSigned      bool                // deploy refuses an image that is not signed with VerifyKey
	Ingress            string              // host:port of the cluster's ingress, when DNS does not know it
}

// Sources is where settings come from.
type Sources struct {
	Env func(string) string
}

// Dir is where the user's settings live: $XDG_CONFIG_HOME/kn-lite, else
// ~/.config/kn-lite, on Windows %AppData%\kn-lite.
func Dir(env func(string) string) string {
	for _, base := range []string{env("XDG_CONFIG_HOME"), env("AppData")} {
		if base != "" {
			return filepath.Join(base, "kn-lite")
		}
	}
	return filepath.Join(env("HOME"), ".config", "kn-lite")
}

// CacheDir is where results that can be made again are kept:
// $XDG_CACHE_HOME/kn-lite, else ~/.cache/kn-lite, on Windows %LocalAppData%\kn-lite.
func CacheDir(env func(string) string) string {
	for _, base := range []string{env("XDG_CACHE_HOME"), env("LocalAppData")} {
		if base != "" {
			return filepath.Join(base, "kn-lite")
		}
	}
	return filepath.Join(env("HOME"), ".cache", "kn-lite")
}

// Load reads the settings. A missing file is no error; a broken one is.
func Load(src Sources) (*Config, error) {
	// Host names are map keys here and have dots in them.
	v := viper.NewWithOptions(viper.KeyDelimiter("::"))
	file := filepath.Join(Dir(src.Env), "config.yaml")
	if named := src.Env("KN_LITE_CONFIG"); named != "" {
		file = named
	}
	v.SetConfigFile(file)
	v.SetConfigType("yaml")
	if err := v.ReadInConfig(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Usage, "config.load", file, "%w", err).
			WithHint("the file is YAML; see the configuration page of the guide, or remove it to use the defaults")
	}
	cfg := &Config{
		File:               file,
		Registry:           strings.TrimRight(first(src.Env("KN_LITE_REGISTRY"), src.Env("FUNC_REGISTRY"), v.GetString("registry")), "/"),
		Namespace:          first(src.Env("KN_LITE_NAMESPACE"), src.Env("FUNC_NAMESPACE"), v.GetString("namespace")),
		AuthFile:           first(src.Env("KN_LITE_AUTHFILE"), v.GetString("authFile")),
		CAFile:             first(src.Env("KN_LITE_REGISTRY_CA"), v.GetString("registryCA")),
		BuilderImage:       first(src.Env("KN_LITE_BUILDER_IMAGE"), v.GetString("builderImage")),
		CacheRepository:    first(src.Env("KN_LITE_CACHE_REPO"), v.GetString("cacheRepo")),
		SignKey:            first(src.Env("KN_LITE_SIGN_KEY"), v.GetString("signKey")),
		VerifyKey:          first(src.Env("KN_LITE_VERIFY_KEY"), v.GetString("verifyKey")),
		Ingress:            first(src.Env("KN_LITE_INGRESS"), v.GetString("ingress")),
		InsecureRegistries: list(src.Env("KN_LITE_INSECURE_REGISTRIES"), v.GetStringSlice("insecureRegistries")),
		BaseImages:         v.GetStringMapString("baseImages"),
		Mirrors:            v.GetStringMapStringSlice("mirrors"),
	}
	required := first(src.Env("KN_LITE_REQUIRE_SIGNED"), v.GetString("requireSigned"), "false")
	signed, err := strconv.ParseBool(required)
	if err != nil {
		// Whoever meant yes must not get no.
		return nil, fault.New(fault.Usage, "config.load", "requireSigned", "%q is neither true nor false", required)
	}
	cfg.RequireSigned = signed
	for entry := range strings.SplitSeq(src.Env("KN_LITE_REGISTRY_CERT"), ";") {
		if entry = strings.TrimSpace(entry); entry != "" {
			cfg.RegistryCerts = append(cfg.RegistryCerts, entry)
		}
	}
	if cfg.RegistryCerts == nil {
		certs := v.GetStringMapString("registryCerts")
		for _, host := range slices.Sorted(maps.Keys(certs)) {
			cfg.RegistryCerts = append(cfg.RegistryCerts, host+"="+certs[host])
		}
	}
	for _, language := range []string{"go", "java", "node", "python", "rust", "typescript"} {
		if ref := src.Env("KN_LITE_BASE_IMAGE_" + strings.ToUpper(language)); ref != "" {
			cfg.BaseImages[language] = ref
		}
	}
	// Both run on Node.js: what suits one suits the other.
	if node := cfg.BaseImages["node"]; node != "" && cfg.BaseImages["typescript"] == "" {
		cfg.BaseImages["typescript"] = node
	}
	return cfg, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// list prefers a comma-separated variable over the file's list.
func list(variable string, file []string) []string {
	if variable == "" {
		return file
	}
	var out []string
	for part := range strings.SplitSeq(variable, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
