// Package ruby recognises Ruby's web applications and writes the Dockerfile that
// builds them: Ruby is not built by layers, since its gems are compiled for the
// Ruby of the image.
package ruby

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Files of an application.
const (
	gemFile  = "Gemfile"
	lockFile = "Gemfile.lock"
	rackFile = "config.ru"
)

// defaultVersion is that of the base image where the project names none.
const defaultVersion = "3.4"

// maxFile bounds what is read of a file.
const maxFile = 16 << 20

// App is what is known of an application.
type App struct {
	Rails     bool
	Version   string   // of Ruby, as in the base image's tag
	Gems      []string // names from the lock, sorted
	Assets    bool     // Rails has assets to precompile
	Bootsnap  bool
	Extra     []string // files that the Gemfile reads
	Evidence  []string
	NoPuma    bool // another server, or none, is among the gems
	platforms []string
}

// Detect reports whether a folder is an application that Rack serves.
func Detect(files fs.FS) bool { return exists(files, gemFile) && exists(files, rackFile) }

// Inspect reads an application. Nothing of it is run.
func Inspect(files fs.FS) (*App, error) {
	app := &App{Version: defaultVersion}
	texts := map[string]string{}
	for _, name := range []string{gemFile, lockFile, rackFile, ".ruby-version", ".tool-versions"} {
		raw, err := lang.ReadFile(files, "ruby", name, maxFile)
		if err != nil {
			return nil, err
		}
		texts[name] = string(raw)
		if raw != nil {
			app.Evidence = append(app.Evidence, name)
		}
	}
	if app.Rails = exists(files, "config/application.rb"); app.Rails {
		app.Evidence = append(app.Evidence, "config/application.rb")
	}
	if texts[lockFile] == "" {
		return nil, fault.New(fault.Usage, "build.ruby", gemFile, "there is no Gemfile.lock, without which an image has other gems tomorrow").
			WithHint("write the lock and keep it with the code: bundle lock")
	}
	app.Gems, app.platforms = readLock(texts[lockFile])
	app.Rails = app.Rails && app.has("railties")
	app.Assets = app.Rails && isDir(files, "app/assets") && (app.has("sprockets") || app.has("propshaft"))
	app.Bootsnap = app.Rails && app.has("bootsnap")
	app.NoPuma = !app.has("puma")
	if version := version(texts); version != "" {
		app.Version = version
	}
	if regexp.MustCompile(`ruby\s.*\bfile:\s*["']\.ruby-version`).MatchString(texts[gemFile]) {
		app.Extra = append(app.Extra, ".ruby-version")
	}
	return app, app.check()
}

// check refuses what would end in an image that does not start.
func (a *App) check() error {
	if a.NoPuma && !a.Rails && !a.has("rackup") && !a.has("rack") {
		return fault.New(fault.Usage, "build.ruby", gemFile, "no gem of it is a server or Rack itself").WithHint("add one: bundle add puma")
	}
	linux := func(platform string) bool { return platform == "ruby" || strings.Contains(platform, "linux") }
	if len(a.platforms) > 0 && !slices.ContainsFunc(a.platforms, linux) {
		return fault.New(fault.Usage, "build.ruby", lockFile, "it is for %s alone, and images are for Linux", strings.Join(a.platforms, ", ")).
			WithHint("add the platform: bundle lock --add-platform x86_64-linux aarch64-linux")
	}
	return nil
}

func (a *App) has(gem string) bool { return slices.Contains(a.Gems, gem) }

// Style describes the application in words.
func (a *App) Style() string {
	if a.Rails {
		return "Ruby on Rails application"
	}
	return "Rack application"
}

// version returns the Ruby that the project names, as a tag of the base image.
func version(texts map[string]string) string {
	for _, look := range []struct{ file, pattern string }{
		{".ruby-version", `^\s*(?:ruby-)?(\d+\.\d+(?:\.\d+)?)\s*$`},
		{".tool-versions", `(?m)^ruby\s+(\d+\.\d+(?:\.\d+)?)\s*$`},
		{gemFile, `(?m)^\s*ruby\s*\(?\s*["'](?:~>\s*)?(\d+\.\d+(?:\.\d+)?)["']`},
		{lockFile, `(?m)^RUBY VERSION\n\s+ruby (\d+\.\d+\.\d+)`},
	} {
		if found := regexp.MustCompile(look.pattern).FindStringSubmatch(texts[look.file]); found != nil {
			return found[1]
		}
	}
	return ""
}

// readLock returns the gems and the platforms of a Gemfile.lock.
func readLock(text string) (gems, platforms []string) {
	section := ""
	gem := regexp.MustCompile(`^ {4}([\w.-]+) \(`)
	for line := range strings.Lines(strings.ReplaceAll(text, "\r\n", "\n")) {
		line = strings.TrimRight(line, "\n")
		if line != "" && !strings.HasPrefix(line, " ") {
			section = line
			continue
		}
		if found := gem.FindStringSubmatch(line); found != nil {
			gems = append(gems, found[1])
		}
		if section == "PLATFORMS" && strings.TrimSpace(line) != "" {
			platforms = append(platforms, strings.TrimSpace(line))
		}
	}
	slices.Sort(gems)
	return slices.Compact(gems), platforms
}

// Command returns how the container starts.
func (a *App) Command() []string {
	switch {
	case a.Rails:
		return []string{"bundle", "exec", "rails", "server", "-b", "0.0.0.0"}
	case !a.NoPuma:
		return []string{"bundle", "exec", "puma", "-b", "tcp://0.0.0.0:8080"}
	}
	return []string{"bundle", "exec", "rackup", "--host", "0.0.0.0", "--port", "8080", rackFile}
}

// Base returns the image that the application's own stands on.
func (a *App) Base() string { return "docker.io/library/ruby:" + a.Version + "-slim" }

// Advice returns what its first deploy may need.
func (a *App) Advice() []string {
	if !a.Rails {
		return nil
	}
	return []string{"Rails needs a secret in production: kn-lite deploy {Env} SECRET_KEY_BASE=VALUE, or RAILS_MASTER_KEY with what is in config/master.key"}
}

func quoted(words []string) string {
	var out []string
	for _, word := range words {
		out = append(out, fmt.Sprintf("%q", word))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func exists(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}

func isDir(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.IsDir()
}
