package ruby

import "strings"

// library is what a gem needs beside Ruby in the image that runs; what compiling
// it needs is in the whole image of Ruby.
type library struct{ gem, packages string }

func libraries() []library {
	return []library{
		{"image_processing", "libvips42"}, {"mysql2", "libmariadb3"}, {"pg", "libpq5"}, {"ruby-vips", "libvips42"}, {"sqlite3", "libsqlite3-0"}, {"trilogy", ""},
	}
}

// Dockerfile returns the Dockerfile of the application. It has two stages: the
// whole image of Ruby compiles the gems, the slim one runs.
func (a *App) Dockerfile() string {
	var b strings.Builder
	say := func(lines ...string) {
		for _, line := range lines {
			b.WriteString(line + "\n")
		}
	}
	say("# syntax=docker/dockerfile:1", "",
		"# Written by kn-lite func adopt for a "+a.Style()+". It is yours: change what you like.", "",
		"ARG RUBY_VERSION="+a.Version, "",
		"FROM docker.io/library/ruby:${RUBY_VERSION} AS build",
		"WORKDIR /app")
	environment := []string{`BUNDLE_DEPLOYMENT="1"`, `BUNDLE_PATH="/usr/local/bundle"`, `BUNDLE_WITHOUT="development:test"`, `RACK_ENV="production"`}
	if a.Rails {
		environment = append(environment, `RAILS_ENV="production"`)
	}
	env := "ENV " + strings.Join(environment, " \\\n    ")
	say(env, "",
		"# Gems change less often than the code.",
		"COPY "+strings.Join(append([]string{gemFile, lockFile}, a.Extra...), " ")+" ./",
		`RUN bundle install && \`,
		`    rm -rf ~/.bundle "${BUNDLE_PATH}"/ruby/*/cache "${BUNDLE_PATH}"/ruby/*/bundler/gems/*/.git`, "",
		"COPY . .")
	if a.Bootsnap {
		say("RUN bundle exec bootsnap precompile --gemfile app/ lib/")
	}
	if a.Assets {
		say("# No secret is needed to make the assets, but something in its place.",
			"RUN SECRET_KEY_BASE_DUMMY=1 SECRET_KEY_BASE=none-of-production bundle exec rails assets:precompile")
	}
	say("", "FROM docker.io/library/ruby:${RUBY_VERSION}-slim", "WORKDIR /app", env)
	if packages := a.packages(); packages != "" {
		say(`RUN apt-get update -qq && \`, "    apt-get install --no-install-recommends -y "+packages+" && \\", "    rm -rf /var/lib/apt/lists /var/cache/apt/archives")
	}
	say("COPY --from=build /usr/local/bundle /usr/local/bundle",
		"COPY --from=build /app /app", "",
		"# The code belongs to root; the application writes to these folders only.")
	folders := "tmp"
	if a.Rails {
		folders = "db log storage tmp"
	}
	say("RUN mkdir -p "+folders+" && chown -R 1000:1000 "+folders, "USER 1000:1000", "")
	settings := []string{`HOME="/tmp"`, `PORT="8080"`}
	if a.Rails {
		settings = append(settings, `RAILS_LOG_TO_STDOUT="1"`, `RAILS_SERVE_STATIC_FILES="1"`)
	}
	say("ENV "+strings.Join(settings, " \\\n    "), "EXPOSE 8080", "CMD "+quoted(a.Command()))
	return b.String()
}

// packages are Debian's that the gems need when they run.
func (a *App) packages() string {
	var names []string
	for _, l := range libraries() {
		if a.has(l.gem) && l.packages != "" && !strings.Contains(strings.Join(names, " "), l.packages) {
			names = append(names, l.packages)
		}
	}
	return strings.Join(names, " ")
}

// Ignore returns the .dockerignore: what is made again, what is of one machine, and
// what is secret.
func (a *App) Ignore() string {
	return `# Written by kn-lite func adopt. It is yours: change what you like.
.git
.bundle
.env*
Dockerfile*
.dockerignore
.kn-lite
func.yaml

# Keys: pass them to the service as a secret.
config/*.key
config/credentials/*.key

# What the application and its tools write.
log/*
tmp/*
storage/*
node_modules
vendor/bundle
public/assets
public/packs
coverage
`
}
