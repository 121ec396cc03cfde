package cargo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Settings is what cargo reads beside the manifests: variables, and the files
// .cargo/config.toml of the folder, of those above it and of the user
// (https://doc.rust-lang.org/cargo/reference/config.html).
type Settings struct {
	environ []string
	files   []map[string]any // the nearest first
}

// ReadSettings reads the files. One with a mistake is for cargo to explain.
func ReadSettings(p *lang.Project) *Settings {
	s := &Settings{environ: p.Environ}
	var seen []string
	add := func(dir string) {
		for _, name := range []string{"config", "config.toml"} { // cargo's order
			file := filepath.Join(dir, name)
			raw, err := regular.ReadFile(file)
			if err != nil || slices.Contains(seen, dir) {
				continue
			}
			seen = append(seen, dir)
			values := map[string]any{}
			if toml.Unmarshal(raw, &values) == nil {
				s.files = append(s.files, values)
			}
		}
	}
	for at := p.Dir; ; at = filepath.Dir(at) {
		add(filepath.Join(at, ".cargo"))
		if at == filepath.Dir(at) {
			break
		}
	}
	if home := Home(p.Environ); home != "" {
		add(home)
	}
	return s
}

// Home is where cargo keeps what it fetches, and the user's settings.
func Home(environ []string) string {
	if home := lang.Lookup(environ, "CARGO_HOME"); home != "" {
		return home
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home := lang.Lookup(environ, name); home != "" {
			return filepath.Join(home, ".cargo")
		}
	}
	return ""
}

// Text is a setting that is a string: the variable's, else the nearest file's.
func (s *Settings) Text(path ...string) string {
	name := "CARGO_" + EnvName(strings.ReplaceAll(strings.Join(path, "_"), ".", "_"))
	if value := lang.Lookup(s.environ, name); value != "" {
		return value
	}
	for _, file := range s.files {
		if value, ok := dig(file, path...).(string); ok {
			return value
		}
	}
	return ""
}

// Has reports whether a variable or a file sets something.
func (s *Settings) Has(path ...string) bool {
	if lang.Lookup(s.environ, "CARGO_"+EnvName(strings.Join(path, "_"))) != "" {
		return true
	}
	return slices.ContainsFunc(s.files, func(file map[string]any) bool { return dig(file, path...) != nil })
}

func dig(values map[string]any, path ...string) any {
	var at any = values
	for _, name := range path {
		table, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = table[name]
	}
	return at
}

// elsewhere are the tables that say where things come from and how cargo talks,
// and not what it makes: Cargo.lock has the digests of what comes.
func elsewhere() []string {
	return []string{"alias", "cache", "credential-alias", "future-incompat-report", "http", "install", "net", "registries", "registry", "source", "term"}
}

// Facts are the settings in files that change the program, without a path of this
// machine or a password in them. Those in variables are lang.Variables' inputs.
func (s *Settings) Facts() []lang.Fact {
	var out []lang.Fact
	for n, file := range s.files {
		kept := map[string]any{}
		for name, value := range file {
			if !slices.Contains(elsewhere(), name) {
				kept[name] = value
			}
		}
		if len(kept) == 0 {
			continue
		}
		if text, err := json.Marshal(kept); err == nil {
			out = append(out, lang.Fact{Name: fmt.Sprintf("cargo's settings %d", n+1), Value: Brief(string(text))})
		}
	}
	return out
}

// Brief is a digest, for facts that are long or none of others' business.
func Brief(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// WithFlags adds flags for the target to those of the user. Cargo takes them
// from the first of four places that has any, so they go to that one: a
// variable, which is made again, or a setting, which cargo itself joins.
func (s *Settings) WithFlags(triple string, flags []string) (args, environ []string) {
	const separator = "\x1f"
	own := lang.Lookup(s.environ, "CARGO_ENCODED_RUSTFLAGS")
	if own == "" {
		own = strings.Join(strings.Fields(lang.Lookup(s.environ, "RUSTFLAGS")), separator)
	}
	if own != "" {
		return nil, []string{"CARGO_ENCODED_RUSTFLAGS=" + own + separator + strings.Join(flags, separator)}
	}
	at := []string{"target", triple, "rustflags"}
	if s.Has("build", "rustflags") && !s.forTarget(triple) {
		at = []string{"build", "rustflags"}
	}
	// Cargo does not join a list with what was written as one string.
	for _, file := range s.files {
		if text, ok := dig(file, at...).(string); ok {
			return nil, []string{"CARGO_ENCODED_RUSTFLAGS=" + strings.Join(append(strings.Fields(text), flags...), separator)}
		}
	}
	list, err := json.Marshal(flags) // TOML's strings are JSON's
	if err != nil {
		return nil, nil // not reached: strings can be written
	}
	return []string{"--config", strings.Join(at, ".") + "=" + string(list)}, nil
}

// forTarget reports whether flags are set for the target: by its name or, for all
// that is read here, by a condition.
func (s *Settings) forTarget(triple string) bool {
	if s.Has("target", triple, "rustflags") {
		return true
	}
	for _, file := range s.files {
		table, _ := file["target"].(map[string]any)
		for name, values := range table {
			if entry, ok := values.(map[string]any); ok && strings.HasPrefix(name, "cfg(") && entry["rustflags"] != nil {
				return true
			}
		}
	}
	return false
}

// EnvName is a name as cargo has it in variables.
func EnvName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
