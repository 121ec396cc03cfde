package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// IgnoreFile is the project's list of files that stay out of the image. Its
// rules are those of a .gitignore, as func has them.
const IgnoreFile = ".funcignore"

// tidy is left out of every image because no function needs it.
func tidy() []string {
	return []string{
		".git", ".gitignore", ".gitattributes", ".github", ".hg", ".svn", ".func", ".kn-lite",
		"/" + IgnoreFile, "/func.yaml", ".dockerignore", ".DS_Store", ".idea", ".vscode", "*.swp", "*~",
	}
}

// secret is left out of every image because anybody who can pull it could read
// it. A "!" rule in the ignore file brings a file back, with a warning.
func secret() []string {
	return []string{
		".env", ".env.*", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore",
		"id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
		".aws", ".azure", ".docker", ".kube", ".ssh", ".gnupg", ".config/gcloud",
		".netrc", "_netrc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", "pip.conf", "pip.ini", ".pgpass", ".my.cnf", ".s3cfg", ".boto", ".vault-token",
		".git-credentials", ".htpasswd", ".dockercfg", "kubeconfig", ".terraform", "*.tfstate", "*.tfstate.*", "*.tfvars",
	}
}

// Secrets are patterns of a .dockerignore for the files that look like secrets.
func Secrets() []string {
	var out []string
	for _, rule := range append(secret(), ".git") {
		out = append(out, translate(rule)...)
	}
	return out
}

// Ignore decides what stays out of the image.
type Ignore struct {
	all     *patternmatcher.PatternMatcher // defaults, then the project's rules: the last match wins
	secrets *patternmatcher.PatternMatcher
	again   bool // the project's rules bring some files back
	warn    func(string)
}

// ReadIgnore reads the project's ignore file, if there is one. more are rules
// of the language, such as /node_modules, that the project's own rules can
// overrule. Rules with a mistake are Usage errors that name file and line.
func ReadIgnore(project fs.FS, warn func(string), more ...string) (*Ignore, error) {
	ignore := &Ignore{warn: warn}
	var patterns []string
	for _, rule := range append(append(tidy(), secret()...), more...) {
		patterns = append(patterns, translate(rule)...)
	}
	own, err := ignore.readOwn(project)
	if err != nil {
		return nil, err
	}
	if ignore.all, err = patternmatcher.New(append(patterns, own...)); err != nil {
		return nil, err
	}
	var hidden []string
	for _, rule := range secret() {
		hidden = append(hidden, translate(rule)...)
	}
	ignore.secrets, err = patternmatcher.New(hidden)
	return ignore, err
}

func (g *Ignore) readOwn(project fs.FS) ([]string, error) {
	f, err := project.Open(IgnoreFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &fault.Error{Op: "build.ignore", Kind: fault.KindOf(err), Subject: IgnoreFile, Err: regular.Cause(err)}
	}
	defer f.Close()
	var patterns []string
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for number := 1; lines.Scan(); number++ {
		rule := strings.TrimPrefix(lines.Text(), "\ufeff")
		translated := translate(rule)
		if _, err := patternmatcher.New(translated); err != nil {
			return nil, fault.New(fault.Usage, "build.ignore", fmt.Sprintf("%s:%d", IgnoreFile, number), "%q is not a pattern: %w", rule, err)
		}
		g.again = g.again || strings.HasPrefix(rule, "!")
		patterns = append(patterns, translated...)
	}
	if err := lines.Err(); err != nil {
		return nil, &fault.Error{Op: "build.ignore", Kind: fault.Usage, Subject: IgnoreFile, Err: err}
	}
	return patterns, nil
}

// translate turns a rule of a .gitignore into patterns of a .dockerignore,
// where every pattern starts at the root: a name with no slash in it matches at
// any depth (https://git-scm.com/docs/gitignore).
func translate(rule string) []string {
	rule = strings.TrimRight(rule, " \t\r")
	if rule == "" || strings.HasPrefix(rule, "#") {
		return nil
	}
	rule, negated := strings.CutPrefix(rule, "!")
	rule = strings.TrimPrefix(rule, `\`) // \# and \! stand for themselves
	rule = strings.TrimSuffix(rule, "/")
	if rule == "" {
		return nil
	}
	pattern := strings.TrimPrefix(rule, "/")
	if !strings.Contains(rule, "/") {
		pattern = "**/" + pattern
	}
	if negated {
		pattern = "!" + pattern
	}
	return []string{pattern}
}

// Filter is a Filter for Tree.Walk. A folder that stays out is still looked
// into when the project has rules that may bring back what is below it.
func (g *Ignore) Filter(name string, dir bool) (out, prune bool) {
	native := filepath.FromSlash(name)
	// The patterns have been checked, so matching cannot fail.
	out, _ = g.all.MatchesOrParentMatches(native)
	if !dir && !out && g.again {
		if hidden, _ := g.secrets.MatchesOrParentMatches(native); hidden {
			g.warn(fmt.Sprintf("%s is in the image because %s brings it back: everybody who can pull the image can read it", name, path.Base(IgnoreFile)))
		}
	}
	return out, !g.again
}
