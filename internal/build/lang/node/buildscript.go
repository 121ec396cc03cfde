package node

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// builds reports whether the project has a build script, which runs with the
// development dependencies; they are not in the image.
func (p *project) builds() bool { return len(p.builtFolders()) > 0 }

// builtFolders returns the folders in which a build script runs, in that order.
func (p *project) builtFolders() []string {
	if p.workspace != nil {
		return p.workspace.built
	}
	if strings.TrimSpace(p.manifest.Scripts["build"]) != "" {
		return []string{"."}
	}
	return nil
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
	for _, name := range []string{"preinstall", "install", "postinstall"} {
		if p.manifest.Scripts[name] != "" {
			out = append(out, fmt.Sprintf("the project's own %s script is not run where the image's dependencies are installed: what it changes in node_modules is not in the image; "+
				"say it in the build script, or build with a Dockerfile", name))
		}
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
