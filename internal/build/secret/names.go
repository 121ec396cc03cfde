// Package secret recognises files that hold secrets: by their names, and where a
// name says too little by what is in them. What it finds stays out of images,
// since everybody who can pull an image can read it.
//
// It leans to keeping out what it cannot judge, among files of suspicious names
// only: a file of an ordinary name is never looked into, and a certificate, a
// template or a settings file without a secret is no secret. Docs:
// docs/decisions/0024-files-that-stay-out.md.
package secret

import (
	"path"
	"strings"
)

// Class is what a name says about a file.
type Class int

// The classes of names.
const (
	Ordinary Class = iota // nothing is known about it
	Certain               // the name is enough
	Strict                // in only if it is understood and there is no secret in it
	Lenient               // in unless there is a secret in it
	Template              // in unless there is a key or a token in it: passwords are examples
	Listing               // in unless a place that packages come from has its password in it
)

// Names are the names that say something.
type Names struct {
	exact map[string]Class
	globs []glob
}

type glob struct {
	pattern string
	class   Class
	// before and after are what is around the only * of a pattern that has no other
	// sign: comparing them is much of the time that listing a large folder takes.
	simple        bool
	before, after string
}

func newGlob(pattern string, class Class) glob {
	g := glob{pattern: pattern, class: class}
	before, after, ok := strings.Cut(pattern, "*")
	if ok && !strings.ContainsAny(before+after, `*?[\/`) {
		g.simple, g.before, g.after = true, before, after
	}
	return g
}

// matches reports whether the last parts of a path are those of the pattern.
func (g glob) matches(parts []string) bool {
	base := parts[len(parts)-1]
	switch {
	case g.simple:
		return len(base) >= len(g.before)+len(g.after) && strings.HasPrefix(base, g.before) && strings.HasSuffix(base, g.after)
	case strings.Contains(g.pattern, "/"):
		return ends(parts, g.pattern)
	}
	return match(g.pattern, base)
}

// NewNames returns all of them.
func NewNames() *Names {
	n := &Names{exact: map[string]Class{}}
	for _, list := range []struct {
		class    Class
		patterns []string
	}{{Certain, certain()}, {Strict, strict()}, {Lenient, lenient()}} {
		for _, pattern := range list.patterns {
			if strings.ContainsAny(pattern, "*[/") {
				n.globs = append(n.globs, newGlob(pattern, list.class))
			} else {
				n.exact[pattern] = list.class
			}
		}
	}
	return n
}

// AddListings adds the files that say where packages come from. What is installed
// already has no use for them; a build that installs has.
func (n *Names) AddListings() {
	for _, pattern := range []string{"requirements*.txt", "*requirements.txt", "constraints*.txt"} {
		n.globs = append(n.globs, newGlob(pattern, Listing))
	}
	for _, name := range []string{
		"pipfile", "pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock", "pylock.toml", "pyproject.toml",
		"package-lock.json", ".package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml",
	} {
		n.exact[name] = Listing
	}
}

// Classify returns the class of the file or folder at the slash-separated path name,
// and the part of the path that decides: name itself or a folder above it.
func (n *Names) Classify(name string, dir bool) (Class, string) {
	parts := strings.Split(strings.ToLower(name), "/")
	for i := range parts {
		last := i == len(parts)-1
		if (!last || dir) && isSecretFolder(parts[:i+1]) {
			return Certain, strings.Join(strings.Split(name, "/")[:i+1], "/")
		}
	}
	if dir {
		return Ordinary, ""
	}
	return n.classifyFile(parts), name
}

// Fixture reports whether a file at name belongs to tests or examples, where keys
// and passwords are made up.
func Fixture(name string) bool {
	for part := range strings.SplitSeq(strings.ToLower(path.Dir(name)), "/") {
		switch strings.Trim(part, "_") {
		case "testdata", "fixture", "fixtures", "test", "tests", "spec", "specs", "e2e", "mock", "mocks", "example", "examples", "sample", "samples":
			return true
		}
	}
	return false
}

// isSecretFolder reports whether nothing below a folder belongs into an image.
func isSecretFolder(parts []string) bool {
	switch parts[len(parts)-1] {
	case ".aws", ".azure", ".oci", ".aliyun", ".gcloud", ".kube", ".ssh", ".gnupg", ".terraform", ".pulumi",
		".secrets", ".env", ".vault", ".huggingface", ".password-store":
		return true
	}
	return ends(parts, ".config/gcloud") || ends(parts, ".config/gh") || ends(parts, ".config/doctl") || ends(parts, ".config/op")
}

func (n *Names) classifyFile(parts []string) Class {
	base := withoutBackup(parts[len(parts)-1])
	parts[len(parts)-1] = base
	switch {
	case n.exact[base] == Listing:
		return Listing
	case strings.HasSuffix(base, ".pub"), isCode(base):
		return Ordinary
	case isTemplate(base):
		return Template
	}
	if class, ok := n.exact[base]; ok && class == Certain {
		return class
	}
	best := n.exact[base]
	for _, g := range n.globs { // certain ones first, then strict ones
		if g.matches(parts) && (best == Ordinary || g.class < best) {
			return g.class
		}
	}
	return best
}

// certain are names that nobody gives to a file without a secret in it.
func certain() []string {
	return []string{
		".env", ".env.local", ".env.*.local", ".dev.vars",
		// keys and their stores
		"id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.ppk", "*.pvk", "*.kdbx", "*.kdb", "*.keytab", "*.ovpn", "wg[0-9]*.conf", ".erlang.cookie",
		// clouds
		"service-account*.json", "service_account*.json", "serviceaccount*.json", "gcp-key*.json", "gcp_key*.json", "gcloud-service-key*.json",
		"application_default_credentials.json", "client_secret*.json", "*firebase-adminsdk*.json", "aws/credentials", "rootkey.csv", "*accesskeys.csv",
		"*.publishsettings", ".s3cfg", ".boto", ".rclone.conf", "rclone.conf", ".databrickscfg",
		// clusters and registries
		".docker/config.json", ".dockercfg", ".dockerconfigjson", "kubeconfig", "*.kubeconfig", "k3s.yaml", "k3s.yml",
		// infrastructure
		"*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json", ".terraformrc", "terraform.rc", "credentials.tfrc.json",
		".vault-token", ".vault-pass*", ".vault_pass*", "vault-pass*", "vault_pass*",
		// package tools
		".pypirc", ".cargo/credentials*", ".gem/credentials", ".m2/settings.xml", ".m2/settings-security.xml", ".composer/auth.json",
		// the rest
		"secrets.yml", "secrets.yaml", "secrets.json", "secrets.toml", "secrets.ini", "secrets.env", "secrets.properties", ".secrets", ".secret", ".token", ".credentials",
		".netrc", "_netrc", ".authinfo", ".git-credentials", ".htpasswd", ".pgpass", ".my.cnf", ".mylogin.cnf", ".msmtprc", ".fetchmailrc",
		"sitemanager.xml", "filezilla.xml", "recentservers.xml", ".*_history", ".lesshst", "*.agekey", ".huggingface/token", "huggingface/token",
	}
}

// strict are names of keys, certificates and settings that most often hold secrets.
func strict() []string {
	return []string{
		".env.*", ".env-*", ".env_*", "*.env", ".envrc",
		"*.pem", "*.key", "*.der", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.jks", "*.keystore", "*.bks", "*.bcfks",
		"*_rsa", "*_dsa", "*_ecdsa", "*_ed25519", "deploy_key", "deploy-key", "*_deploy_key", "*-deploy-key", "*.privkey", "privkey*",
		"*kubeconfig*", "gcp-*.json", "google-credentials*.json", "gcloud*.json", "azureauth.json", "*.azureauth",
		".npmrc", ".pnpmrc", ".yarnrc", ".yarnrc.yml", ".bunfig.toml", "pip.conf", "pip.ini", ".bundle/config",
		"credentials", "credentials.*", "*-credentials.json", "*_credentials.json", "secret.yml", "secret.yaml", "secret.json",
		"password.txt", "passwords.txt", "passwd.txt", "token.txt", "tokens.txt", "secret.txt", "secrets.txt", "apikey.txt", "api_key.txt",
		"auth.json", "admin.conf", "bunfig.toml", "gradle.properties", "nuget.config", "local.settings.json", "sftp-config.json", "sftp.json", ".ftpconfig", ".sentryclirc", "ngrok.yml",
	}
}

// lenient are names that ordinary files have too.
func lenient() []string {
	return []string{
		"*.crt", "*.cer", "*.cert", "*.asc", "settings.xml", "keys.txt", "keys.json", "dockerconfig.json",
	}
}

// isTemplate reports whether a name says that the file shows how another one looks.
func isTemplate(base string) bool {
	for _, word := range []string{"example", "sample", "template", "tmpl", "tpl", "dist", "defaults", "schema", "demo"} {
		if strings.HasSuffix(base, "."+word) || strings.HasSuffix(base, "-"+word) || strings.HasSuffix(base, "_"+word) || strings.Contains(base, "."+word+".") {
			return true
		}
	}
	return false
}

// isCode reports whether base is program text or a document, which many are named
// after what they handle: credentials.ts, kubeconfig.go.
func isCode(base string) bool {
	switch path.Ext(base) {
	case ".go", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx", ".vue", ".svelte", ".py", ".pyi", ".rb", ".erb", ".java", ".kt", ".scala", ".groovy", ".rs",
		".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".fs", ".php", ".pl", ".swift", ".dart", ".ex", ".exs", ".clj", ".lua", ".sql", ".proto", ".class",
		".md", ".rst", ".adoc", ".html", ".css", ".scss", ".svg", ".png", ".jpg", ".gif", ".ico", ".map", ".lock", ".sum":
		return true
	}
	return false
}

// withoutBackup is the name of the file that base is a copy of.
func withoutBackup(base string) string {
	for {
		short := base
		for _, suffix := range []string{"~", ".bak", ".backup", ".old", ".orig", ".save", ".copy", ".tmp", ".rej"} {
			short = strings.TrimSuffix(short, suffix)
		}
		if rest, ok := strings.CutSuffix(short, ".swp"); ok {
			short = strings.TrimPrefix(rest, ".") // of .env, vim makes ..env.swp
		}
		if short == base || short == "" {
			return base
		}
		base = short
	}
}

func ends(parts []string, pattern string) bool {
	wanted := strings.Split(pattern, "/")
	if len(wanted) > len(parts) {
		return false
	}
	for i, p := range wanted {
		if !match(p, parts[len(parts)-len(wanted)+i]) {
			return false
		}
	}
	return true
}

func match(pattern, name string) bool {
	// The patterns are the constants above.
	ok, _ := path.Match(pattern, name)
	return ok
}
