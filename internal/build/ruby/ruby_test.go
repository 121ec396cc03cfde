package ruby

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func application(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func lock(gems ...string) string {
	text := "GEM\n  remote: https://rubygems.org/\n  specs:\n"
	for _, gem := range gems {
		text += "    " + gem + " (1.0)\n      below (>= 1)\n"
	}
	return text + "\nPLATFORMS\n  x86_64-linux\n\nDEPENDENCIES\n  rails\n"
}

func TestDockerfile(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		has   []string
		lacks []string
	}{
		{"Rails with everything", map[string]string{
			"Gemfile": "source 'https://rubygems.org'\nruby file: '.ruby-version'\n", "Gemfile.lock": lock("railties", "puma", "bootsnap", "propshaft", "pg", "ruby-vips", "image_processing"), "config.ru": "",
			".ruby-version": "ruby-3.3.1\n", "config/application.rb": "", "app/assets/x.css": "", "package.json": "{}",
		}, []string{
			"ARG RUBY_VERSION=3.3.1\n", "COPY Gemfile Gemfile.lock .ruby-version ./\n", "bootsnap precompile", "assets:precompile", "-y libvips42 libpq5 &&", "USER 1000:1000\n",
			"chown -R 1000:1000 db log storage tmp", `CMD ["bundle", "exec", "rails", "server", "-b", "0.0.0.0"]`, `PORT="8080"`,
		}, nil},
		{
			"Rails for an API",
			map[string]string{"Gemfile": "ruby '~> 3.2'\n", "Gemfile.lock": lock("railties", "puma"), "config.ru": "", "config/application.rb": ""},
			[]string{"ARG RUBY_VERSION=3.2\n", `"rails", "server"`},
			[]string{"assets", "bootsnap", "apt-get"},
		},
		{
			"Sinatra",
			map[string]string{"Gemfile": "gem 'sinatra'\n", "Gemfile.lock": lock("sinatra", "puma"), "config.ru": ""},
			[]string{"ARG RUBY_VERSION=3.4\n", `CMD ["bundle", "exec", "puma", "-b", "tcp://0.0.0.0:8080"]`},
			[]string{"RAILS", "assets"},
		},
		{
			"Rack",
			map[string]string{"Gemfile": "gem 'rackup'\n", "Gemfile.lock": lock("rackup") + "\nRUBY VERSION\n   ruby 3.1.2p20\n", "config.ru": ""},
			[]string{"ARG RUBY_VERSION=3.1.2\n", `"rackup", "--host", "0.0.0.0", "--port", "8080", "config.ru"`},
			nil,
		},
	}
	for _, tt := range tests {
		app, err := Inspect(application(tt.files))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		text := app.Dockerfile()
		for _, want := range tt.has {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", tt.name, want, text)
			}
		}
		for _, not := range tt.lacks {
			if strings.Contains(text, not) {
				t.Errorf("%s has %q:\n%s", tt.name, not, text)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for says, files := range map[string]map[string]string{
		"there is no Gemfile.lock":                                  {"Gemfile": "", "config.ru": ""},
		"no gem of it is a server":                                  {"Gemfile": "", "Gemfile.lock": lock("json"), "config.ru": ""},
		"it is for arm64-darwin-23 alone, and images are for Linux": {"Gemfile": "", "config.ru": "", "Gemfile.lock": strings.Replace(lock("puma"), "x86_64-linux", "arm64-darwin-23", 1)},
	} {
		_, err := Inspect(application(files))
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, not %s", err, says)
		}
	}
}
