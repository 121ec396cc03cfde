package node

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// scriptOf is a script of the project, or of a package in one of its folders.
type scriptOf struct{ folder, name string }

// builds reports whether the project has a build script, which runs with the
// development dependencies; they are not in the image.
func (p *project) builds() bool {
	return slices.ContainsFunc(p.scripts(), func(s scriptOf) bool { return s.name == "build" })
}

// runs reports whether the project has scripts that make a part of the image: a build
// script, or its own around the installation, such as patch-package.
func (p *project) runs() bool {
	return slices.ContainsFunc(p.scripts(), func(s scriptOf) bool { return s.name != "prepare" })
}

// scripts returns those that run after the installation, in their order.
func (p *project) scripts() []scriptOf {
	if p.workspace != nil {
		return p.workspace.scripts
	}
	return append(installScripts(&p.manifest, "."), buildScript(&p.manifest, ".")...)
}

// installScripts returns a package's own scripts that its manager runs when the
// dependencies are there.
func installScripts(m *manifest, folder string) []scriptOf {
	var out []scriptOf
	for _, name := range []string{"install", "postinstall", "prepare"} {
		if script := strings.TrimSpace(m.Scripts[name]); script != "" && !setsHooks(script) {
			out = append(out, scriptOf{folder, name})
		}
	}
	return out
}

// setsHooks reports whether a script only sets up hooks of Git, whose folder is not
// where the build runs.
func setsHooks(script string) bool {
	return regexp.MustCompile(`^(npx |is-ci \|\| )?(husky|husky install|lefthook install|simple-git-hooks)( \|\| (true|exit 0|:))?$`).MatchString(script)
}

func buildScript(m *manifest, folder string) []scriptOf {
	if strings.TrimSpace(m.Scripts["build"]) == "" {
		return nil
	}
	return []scriptOf{{folder, "build"}}
}

// leftovers are what build tools remember beside what they make.
func leftovers() []string {
	return []string{"/.next/cache", "/.turbo", "/.parcel-cache", "/.cache", "/.vite", "/.astro", "/.nuxt", "/.svelte-kit", "*.tsbuildinfo", ".eslintcache"}
}

// script returns the manager's arguments for a script of the project.
func (m manager) script(name string) []string {
	if m.berry {
		return []string{"run", name}
	}
	return []string{"run", "--silent", name}
}

// installAll returns the manager's arguments for all dependencies, those of
// development too.
func (p *project) installAll() []string {
	switch {
	case p.manager.name == "pnpm":
		return []string{"install", "--frozen-lockfile", "--prod=false", "--prefer-offline"}
	case p.manager.berry:
		return []string{"install", "--immutable"}
	case p.manager.name == "yarn":
		return []string{"install", "--production=false", "--frozen-lockfile", "--non-interactive", "--no-progress"}
	}
	return []string{p.verb(), "--include=dev", "--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"}
}

// advice says what of the manifest has no effect.
func (p *project) advice() []string {
	var out []string
	if script := p.manifest.Scripts["preinstall"]; script != "" && !strings.Contains(script, "only-allow") {
		out = append(out, "the project's own preinstall script is not run: what it needs of the project is not there yet; say it in postinstall")
	}
	if p.manifest.Scripts["poststart"] != "" {
		out = append(out, "the poststart script is not run: it would wait for the end of the service")
	}
	if w := p.workspace; w != nil && !p.start.static {
		text := "it is a package of a workspace, whose lock decides"
		if others := w.needed[:len(w.needed)-1]; len(others) > 0 {
			text += "; the image has the packages that it depends on, too: " + strings.Join(others, ", ")
		}
		out = append(out, text)
	}
	return append(out, p.start.advice...)
}

// withPrestart puts the script that npm runs before a start in front of it. What
// builds the project has been done by then.
func (s start) withPrestart(m *manifest, name string) start {
	script := strings.TrimSpace(m.Scripts["pre"+name])
	built := regexp.MustCompile(`^(npm|pnpm|yarn)( run)?( -s| --silent)? build$`).MatchString(script)
	if script == "" || built && m.Scripts["build"] != "" {
		return s
	}
	line := strings.Join(slices.Concat(s.env, []string{"exec"}, s.command), " ")
	if len(s.command) == 3 && path.Base(s.command[0]) == "sh" {
		line = s.command[2]
	}
	return start{style: s.style + " after its prestart script", advice: s.advice, command: []string{"/bin/sh", "-c", "(" + script + ") && " + line}}
}
