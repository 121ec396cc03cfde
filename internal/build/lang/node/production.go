package node

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// startScripts returns the names that a script has which starts a service, in the
// order in which they are looked at.
func startScripts() []string {
	return []string{"start", "start:prod", "start:production", "prod", "production"}
}

// scriptedStart returns the start by the first script that runs in the image, where
// nothing is that only development has.
func (p *project) scriptedStart() (start, bool) {
	passed := ""
	for _, name := range startScripts() {
		script := p.resolveScript(p.manifest.Scripts[name])
		if script == "" {
			continue
		}
		if program := p.developmentProgram(script); program != "" {
			if passed == "" {
				passed = fmt.Sprintf("the %s script is for development (it runs %s)", name, program)
			}
			continue
		}
		found := fromScript(script).withPrestart(&p.manifest, name)
		if name != "start" {
			found.style = "npm " + strings.TrimPrefix(found.style, "npm start script") + name + " script"
		}
		if passed != "" {
			found.advice = append(found.advice, passed+": the image starts as the "+name+" script says")
		}
		return found, true
	}
	return start{}, false
}

// resolveScript returns what a script runs in the end: without the build, which has
// been done by then, without the manager for another script of the project, and
// without tools of development around node.
func (p *project) resolveScript(script string) string {
	for range 5 { // they may name each other for ever
		script = strings.TrimSpace(script)
		if p.builds() {
			script = regexp.MustCompile(`^(npm|pnpm|yarn)( run)?( -s| --silent)? build\s*&&\s*`).ReplaceAllString(script, "")
		}
		words := strings.Fields(script)
		called := regexp.MustCompile(`^(?:npm run|pnpm(?: run)?|yarn(?: run)?)(?: -s| --silent)? ([A-Za-z0-9:_.-]+)$`).FindStringSubmatch(script)
		switch {
		case called != nil && p.manifest.Scripts[called[1]] != "" && p.manifest.Scripts["pre"+called[1]] == "":
			script = p.manifest.Scripts[called[1]]
		case len(words) > 1 && words[0] == "cross-env" && p.onlyDevelopment(words[0]):
			script = strings.Join(words[1:], " ")
		case len(words) == 2 && words[0] == "nodemon" && p.onlyDevelopment(words[0]) && slices.Contains([]string{".js", ".cjs", ".mjs"}, path.Ext(words[1])):
			return "node " + words[1]
		default:
			return script
		}
	}
	return script
}

// developmentProgram returns the program of a script that is not in the image, or
// serves for development only; "" when the script can run there.
func (p *project) developmentProgram(script string) string {
	words := strings.Fields(script)
	for len(words) > 0 && (words[0] == "exec" || isAssignment(words[0])) {
		words = words[1:]
	}
	if len(words) == 0 {
		return ""
	}
	word := strings.TrimPrefix(strings.TrimPrefix(words[0], "./"), modules+"/.bin/")
	if strings.Contains(word, "/") || !p.onlyDevelopment(word) && !isDevelopmentServer(word, words[1:]) {
		return ""
	}
	return word
}

// onlyDevelopment reports whether a program comes with a package that only
// development has. Of npm's packages the lock names the programs.
func (p *project) onlyDevelopment(program string) bool {
	if slices.Contains(p.devPrograms, program) {
		return true
	}
	for _, name := range []string{program, packageOf(program)} {
		_, development := p.manifest.DevDependencies[name]
		_, production := p.manifest.Dependencies[name]
		if development && !production {
			return true
		}
	}
	return false
}

// packageOf returns the package that a well-known program is in, where that has
// another name.
func packageOf(program string) string {
	return map[string]string{
		"babel-node": "@babel/node", "docusaurus": "@docusaurus/core", "eleventy": "@11ty/eleventy", "nest": "@nestjs/cli", "ng": "@angular/cli",
		"react-router": "@react-router/dev", "remix": "@remix-run/dev", "tsc": "typescript", "vue-cli-service": "@vue/cli-service",
	}[program]
}

// isDevelopmentServer reports whether a program with such arguments serves the
// sources of a site, as its own documentation says, not for production.
func isDevelopmentServer(program string, arguments []string) bool {
	verbs, known := map[string][]string{
		"astro": {"dev", "preview", "start"}, "docusaurus": {"serve", "start"}, "eleventy": {"--serve"}, "gatsby": {"develop", "serve", "start"}, "ng": {"serve"},
		"parcel": nil, "react-scripts": {"start"}, "vite": nil, "vitepress": {"dev", "preview"}, "vue-cli-service": {"serve"}, "webpack": {"serve"}, "webpack-dev-server": nil,
		"browser-sync": nil, "live-server": nil, "lite-server": nil,
	}[program]
	verb := ""
	if len(arguments) > 0 {
		verb = arguments[0]
	}
	return known && (verbs == nil && verb != "build" || slices.Contains(verbs, verb))
}

// conventional returns the start of a framework's server that its build makes, for
// projects that say no other.
func conventional(m *manifest) (start, bool) {
	for _, known := range []struct{ name, file string }{
		{"@sveltejs/adapter-node", "build/index.js"}, {"@astrojs/node", "dist/server/entry.mjs"}, {"nuxt", ".output/server/index.mjs"},
	} {
		if m.depends(known.name) && m.Scripts["build"] != "" {
			return start{style: "server of " + known.name, command: []string{"node", known.file}}, true
		}
	}
	return start{}, false
}

// depends reports whether the project uses a package, in whatever way.
func (m *manifest) depends(name string) bool {
	_, production := m.Dependencies[name]
	_, development := m.DevDependencies[name]
	return production || development
}

// withDefaults tells servers to listen on every address that would otherwise take
// the pod's name or loopback.
func (s start) withDefaults(m *manifest) start {
	for _, known := range []struct{ name, entry string }{{"next", "HOSTNAME=0.0.0.0"}, {"@astrojs/node", "HOST=0.0.0.0"}} {
		variable, _, _ := strings.Cut(known.entry, "=")
		said := func(entry string) bool { return strings.HasPrefix(entry, variable+"=") }
		if m.depends(known.name) && !slices.ContainsFunc(s.env, said) {
			s.env = append(s.env, known.entry)
		}
	}
	return s
}
