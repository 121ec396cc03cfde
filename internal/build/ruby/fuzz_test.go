package ruby

import (
	"strings"
	"testing"
)

// FuzzInspect writes a Dockerfile for whatever an application's files hold. What they
// hold must not become instructions.
func FuzzInspect(f *testing.F) {
	f.Add("source 'https://rubygems.org'\nruby file: '.ruby-version'\ngem 'rails'\n", lock("railties", "puma", "pg"), "ruby-3.3.1\n", "ruby 3.3.1\n")
	f.Add("ruby '3.3.1\nRUN true'\n", lock("railties", "puma\nRUN true"), "3.3.1\nFROM x\n", "ruby 3.3\\\n")
	f.Fuzz(func(t *testing.T, gemfile, locked, version, tools string) {
		app, err := Inspect(application(map[string]string{
			gemFile: gemfile, "Gemfile.lock": locked, ".ruby-version": version, ".tool-versions": tools, rackFile: "", "config/application.rb": "",
		}))
		if err != nil {
			return
		}
		text := app.Dockerfile()
		if got := strings.Count("\n"+text, "\nFROM "); got != 2 {
			t.Errorf("%d instructions FROM in\n%s", got, text)
		}
		if strings.ContainsAny(text, "\x00\r\x1b") {
			t.Errorf("control characters in %q", text)
		}
	})
}
