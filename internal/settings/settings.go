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
}

const (
	// baseImages is the setting of base images by language.
	baseImages = "baseImages"
	// baseImageVariable is followed by a language in upper case.
	baseImageVariable = "KN_LITE_BASE_IMAGE_"
)

// settings are all of them, in the guide's order.
func settings() []setting {
	return []setting{
		{"registry", scalar, []string{"KN_LITE_REGISTRY", "FUNC_REGISTRY"}},
		{"namespace", scalar, []string{"KN_LITE_NAMESPACE", "FUNC_NAMESPACE"}},
		{"ingress", scalar, []string{"KN_LITE_INGRESS"}},
		{"authFile", scalar, []string{"KN_LITE_AUTHFILE"}},
		{"registryCA", scalar, []string{"KN_LITE_REGISTRY_CA"}},
		{"registryCerts", byName, []string{"KN_LITE_REGISTRY_CERT"}},
		{"insecureRegistries", list, []string{"KN_LITE_INSECURE_REGISTRIES"}},
		{baseImages, byName, nil},
		{"cacheRepo", scalar, []string{"KN_LITE_CACHE_REPO"}},
		{"builderImage", scalar, []string{"KN_LITE_BUILDER_IMAGE"}},
		{"kanikoImage", scalar, []string{"KN_LITE_KANIKO_IMAGE"}},
		{"signKey", scalar, []string{"KN_LITE_SIGN_KEY"}},
		{"verifyKey", scalar, []string{"KN_LITE_VERIFY_KEY"}},
		{"requireSigned", scalar, []string{"KN_LITE_REQUIRE_SIGNED"}},
		{"mirrors", listsByName, nil},
	}
}

// Languages are those that can have a base image of the user's.
func Languages() []string { return []string{"go", "java", "node", "python", "rust", "typescript"} }

func keys() (out []string) {
	for _, s := range settings() {
		out = append(out, s.key)
	}
	return out
}

func formOf(key string) form {
	for _, s := range settings() {
		if s.key == key {
			return s.form
		}
	}
	return scalar
}

// Variables are the names of all variables of kn-lite's own.
func Variables() []string {
	out := []string{"KN_LITE_CONFIG", "KN_LITE_SIGN_PASSWORD", "KN_LITE_FORCE_TTY"}
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
