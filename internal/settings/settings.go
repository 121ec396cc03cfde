package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// setting is one thing that can be set: a key of the file and its variables, the
// first of which counts. Several values in a variable are separated by commas, or
// by semicolons where there can be commas in them.
type setting struct {
	key       string
	form      form
	variables []string
	flag      string // that overrules it, or ""
	secret    bool   // has a variable only, and is never shown
}

const (
	// baseImages is the setting of base images by language.
	baseImages = "baseImages"
	// baseImageVariable is followed by a language in upper case.
	baseImageVariable = "KN_LITE_BASE_IMAGE_"
	// requireSigned is the one setting that is yes or no.
	requireSigned = "requireSigned"
)

// settings are all of them, in the guide's order.
func settings() []setting {
	return []setting{
		{key: "registry", variables: []string{"KN_LITE_REGISTRY", "FUNC_REGISTRY"}},
		{key: "namespace", variables: []string{"KN_LITE_NAMESPACE", "FUNC_NAMESPACE"}, flag: "namespace"},
		{key: "ingress", variables: []string{"KN_LITE_INGRESS"}, flag: "ingress"},
		{key: "authFile", variables: []string{"KN_LITE_AUTHFILE"}, flag: "authfile"},
		{key: "registryCA", variables: []string{"KN_LITE_REGISTRY_CA"}, flag: "registry-ca"},
		{key: "registryCerts", form: byName, variables: []string{"KN_LITE_REGISTRY_CERT"}},
		{key: "insecureRegistries", form: list, variables: []string{"KN_LITE_INSECURE_REGISTRIES"}},
		{key: baseImages, form: byName},
		{key: "builder", variables: []string{"KN_LITE_BUILDER"}, flag: "builder"},
		{key: "cacheRepo", variables: []string{"KN_LITE_CACHE_REPO"}, flag: "cache-repo"},
		{key: "builderImage", variables: []string{"KN_LITE_BUILDER_IMAGE"}, flag: "builder-image"},
		{key: "kanikoImage", variables: []string{"KN_LITE_KANIKO_IMAGE"}},
		{key: "signKey", variables: []string{"KN_LITE_SIGN_KEY"}, flag: "sign-key"},
		{key: "signPassword", variables: []string{"KN_LITE_SIGN_PASSWORD"}, secret: true},
		{key: "verifyKey", variables: []string{"KN_LITE_VERIFY_KEY"}, flag: "verify-key"},
		{key: requireSigned, variables: []string{"KN_LITE_REQUIRE_SIGNED"}, flag: "require-signed"},
		{key: "mirrors", form: listsByName},
	}
}

// Languages are those that can have a base image of the user's: all that
// build.Languages has, which this package may not import.
func Languages() []string { return []string{"go", "java", "node", "python", "rust", "typescript"} }

// keys are those that the file can have.
func keys() (out []string) {
	for _, s := range settings() {
		if !s.secret {
			out = append(out, s.key)
		}
	}
	return out
}

// Keys are those that can be explained; those of the file can be set as well.
func Keys() (out []string) {
	for _, s := range settings() {
		if s.key != baseImages {
			out = append(out, s.key)
			continue
		}
		for _, language := range Languages() {
			out = append(out, baseImages+"."+language)
		}
	}
	return out
}

// Settable are the keys that the file can have.
func Settable() []string {
	return slices.DeleteFunc(Keys(), func(key string) bool {
		s := settingOf(key)
		return s != nil && s.secret
	})
}

// Flags are the keys of the settings that a flag overrules, by the flag's name.
func Flags() map[string]string {
	out := map[string]string{}
	for _, s := range settings() {
		if s.flag != "" {
			out[s.flag] = s.key
		}
	}
	return out
}

// settingOf returns the setting of that key, or nil.
func settingOf(key string) *setting {
	for _, s := range settings() {
		if s.key == key {
			return &s
		}
	}
	return nil
}

func formOf(key string) form {
	if s := settingOf(key); s != nil {
		return s.form
	}
	return scalar
}

// checkKey refuses what is no key, or no key below a setting with names.
func checkKey(key string) error {
	top, below, nested := strings.Cut(key, ".")
	s := settingOf(top)
	unknown := fault.New(fault.Usage, "config.key", key, "there is no such setting")
	switch {
	case s == nil:
		return unknown.WithHint("%s", suggestion(key, Keys()))
	case nested && (s.form == scalar || s.form == list):
		return unknown.WithHint("%s has no keys below it", top)
	case nested && below == "":
		return unknown.WithHint("a name belongs behind the dot")
	case nested && top == baseImages && !slices.Contains(Languages(), below):
		return unknown.WithHint("%s", suggestion(key, Keys()))
	}
	return nil
}

// Variables are the names of all variables of kn-lite's own.
func Variables() []string {
	out := []string{"KN_LITE_CONFIG", "KN_LITE_FORCE_TTY"}
	for _, s := range settings() {
		for _, name := range s.variables {
			if strings.HasPrefix(name, "KN_LITE_") {
				out = append(out, name)
			}
		}
	}
	for _, language := range Languages() {
		out = append(out, baseImageVariable+strings.ToUpper(language))
	}
	return out
}

// checkVariables looks for variables that are meant for kn-lite and mean nothing
// to it. One that is a slip away from a known one is an error, since what it was
// meant to say may be a policy; others may belong to another release, or to the
// user, and are named in warnings.
func checkVariables(vars []string) (warnings []string, err error) {
	known := Variables()
	for _, kv := range vars {
		name, value, _ := strings.Cut(kv, "=")
		upper := strings.ToUpper(name)
		if value == "" || !strings.HasPrefix(upper, "KN_LITE_") && !strings.HasPrefix(upper, "KNLITE_") || slices.Contains(known, name) {
			continue
		}
		if near := nearestVariable(upper, known); near != "" {
			return nil, fault.New(fault.Usage, "config.load", name, "this variable means nothing to kn-lite").
				WithHint("did you mean %s?", near)
		}
		warnings = append(warnings, fmt.Sprintf("the variable %s means nothing to kn-lite", name))
	}
	return warnings, nil
}

// nearestVariable is the known variable that name stands for when underscores and
// the plural do not count, or that is at most two letters away.
func nearestVariable(name string, known []string) string {
	plain := strings.NewReplacer("_", "", "REGISTRIES", "REGISTRY").Replace
	var stems []string
	for _, k := range known {
		if plain(k) == plain(name) {
			return k
		}
		stems = append(stems, strings.TrimPrefix(plain(k), "KNLITE"))
	}
	stem := strings.TrimPrefix(plain(name), "KNLITE")
	if near := fault.Nearest(stem, stems); near != "" {
		return known[slices.Index(stems, near)]
	}
	return ""
}
