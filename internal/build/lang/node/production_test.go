package node

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// What generators write into package.json, and what starts the service.
func TestStartForProduction(t *testing.T) {
	const nestLock = `{"lockfileVersion":3,"packages":{"":{},"node_modules/@nestjs/core":{"version":"10.0.0"},"node_modules/@nestjs/cli":{"version":"10.0.0","dev":true,"bin":{"nest":"bin/nest.js"}}}}`
	site := []string{"node", "/kn-lite/site.cjs", "/app"}
	sh := func(line string) []string { return []string{"/bin/sh", "-c", line} }
	for _, tt := range []struct {
		name     string
		manifest string
		files    map[string]string
		want     []string
		env      []string
		says     string // in the advice, or in the error where nothing is wanted
	}{
		{"nest", `{"scripts":{"build":"nest build","start":"nest start","start:dev":"nest start --watch","start:prod":"node dist/main"},"dependencies":{"@nestjs/core":"10"},"devDependencies":{"@nestjs/cli":"10"}}`, map[string]string{"package-lock.json": nestLock}, []string{"node", "dist/main"}, nil, "the start script is for development (it runs nest): the image starts as the start:prod script says"},
		{"nest, other managers", `{"scripts":{"build":"nest build","start":"nest start","start:prod":"node dist/main"},"dependencies":{"@nestjs/core":"10"},"devDependencies":{"@nestjs/cli":"10"}}`, nil, []string{"node", "dist/main"}, nil, "start:prod"},
		{"both production and development have it", `{"scripts":{"start":"serve -l 8080"},"dependencies":{"serve":"1"}}`, map[string]string{"package-lock.json": `{"packages":{"node_modules/serve":{"bin":{"serve":"x"}},"node_modules/a/node_modules/serve":{"dev":true,"bin":{"serve":"x"}}}}`}, []string{"serve", "-l", "8080"}, nil, ""},
		{"production script with its own prestart", `{"scripts":{"start":"nodemon --exec ts-node x.ts","start:production":"node x.js","prestart:production":"node migrate.js","prestart":"echo no"},"devDependencies":{"nodemon":"3"}}`, nil, sh("(node migrate.js) && exec node x.js"), nil, "nodemon"},
		{"nodemon with a file", `{"scripts":{"start":"nodemon app.js"},"devDependencies":{"nodemon":"3"}}`, nil, []string{"node", "app.js"}, nil, ""},
		{"nodemon as a dependency", `{"scripts":{"start":"nodemon app.js"},"dependencies":{"nodemon":"3"}}`, nil, []string{"nodemon", "app.js"}, nil, ""},
		{"cross-env", `{"scripts":{"start":"cross-env NODE_ENV=production DEBUG=1 node app.js"},"devDependencies":{"cross-env":"7"}}`, nil, []string{"node", "app.js"}, []string{"NODE_ENV=production", "DEBUG=1"}, ""},
		{"the script names another", `{"scripts":{"start":"npm run start:prod","start:prod":"yarn serve:api","serve:api":"node api.js"}}`, nil, []string{"node", "api.js"}, nil, ""},
		{"scripts that name each other", `{"scripts":{"start":"npm run a","a":"npm run start"}}`, nil, []string{"npm", "run", "start"}, nil, ""},
		{"builds before it starts", `{"scripts":{"build":"tsc","start":"npm run build && node dist/app.js"},"devDependencies":{"typescript":"5"}}`, nil, []string{"node", "dist/app.js"}, nil, ""},
		{"ts-node, and a main that the build makes", `{"main":"dist/index.js","scripts":{"build":"tsc","start":"ts-node src/index.ts"},"devDependencies":{"ts-node":"10","typescript":"5"}}`, nil, []string{"node", "dist/index.js"}, nil, ""},
		{"main that the build makes", `{"main":"dist/index.js","scripts":{"build":"tsc"},"devDependencies":{"typescript":"5"}}`, nil, []string{"node", "dist/index.js"}, nil, ""},
		{"only development", `{"scripts":{"start":"tsx src/x.ts"},"devDependencies":{"tsx":"4"}}`, nil, nil, nil, "the start script runs tsx, which is a development dependency"},
		{"next", `{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"14"}}`, nil, []string{"next", "start"}, []string{"HOSTNAME=0.0.0.0"}, ""},
		{"next makes files", `{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"14"}}`, map[string]string{"next.config.mjs": "const c = {\n  output: 'export',\n}\n"}, site, nil, "serves the files"},
		{"next makes files, in a comment", `{"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"14"}}`, map[string]string{"next.config.mjs": "const c = {\n  // output: 'export',\n}\n"}, []string{"next", "start"}, []string{"HOSTNAME=0.0.0.0"}, ""},
		{"vite", `{"scripts":{"dev":"vite","build":"vite build","preview":"vite preview"},"devDependencies":{"vite":"5"}}`, map[string]string{"main.js": "", "index.html": ""}, site, nil, "serves the files"},
		{"vite as start", `{"scripts":{"start":"vite","build":"vite build"},"dependencies":{"vite":"5"}}`, nil, site, nil, ""},
		{"create-react-app", `{"scripts":{"start":"react-scripts start","build":"react-scripts build"},"dependencies":{"react-scripts":"5"}}`, nil, site, nil, ""},
		{"angular", `{"scripts":{"start":"ng serve","build":"ng build"},"dependencies":{"@angular/core":"18"},"devDependencies":{"@angular/cli":"18"}}`, nil, site, nil, ""},
		{"webpack's guide, with the main of npm init", `{"main":"index.js","scripts":{"build":"webpack"},"devDependencies":{"webpack":"5"}}`, map[string]string{"src/index.html": "", "src/index.js": ""}, site, nil, ""},
		{"vite beside a server", `{"scripts":{"build":"vite build"},"dependencies":{"express":"5"},"devDependencies":{"vite":"5"}}`, map[string]string{"server.js": "listen()", "index.html": ""}, []string{"node", "server.js"}, nil, ""},
		{"svelte on Node.js", `{"scripts":{"dev":"vite dev","build":"vite build"},"devDependencies":{"@sveltejs/adapter-node":"5","vite":"5"}}`, nil, []string{"node", "build/index.js"}, nil, ""},
		{"astro on Node.js", `{"scripts":{"start":"astro dev","build":"astro build"},"dependencies":{"astro":"4","@astrojs/node":"8"}}`, nil, []string{"node", "dist/server/entry.mjs"}, []string{"HOST=0.0.0.0"}, ""},
		{"astro", `{"scripts":{"start":"astro dev","build":"astro build"},"dependencies":{"astro":"4"}}`, nil, site, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(tt.files)
			if files == nil {
				files = map[string]string{}
			}
			files["package.json"] = tt.manifest
			p, _ := open(t, files)
			plan, err := Language{}.Plan(t.Context(), p)
			if tt.want == nil {
				if err == nil || !strings.Contains(err.Error(), tt.says) || fault.HintOf(err) == "" {
					t.Errorf("err = %v, hint %q", err, fault.HintOf(err))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, plan.Entrypoint); diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.env, plan.Detail.(*project).start.env); diff != "" {
				t.Errorf("env (-want +got):\n%s", diff)
			}
			if tt.says != "" && !strings.Contains(strings.Join(plan.Advice, "\n"), tt.says) {
				t.Errorf("advice = %q, without %q", plan.Advice, tt.says)
			}
		})
	}
}

func TestSiteIsWhatTheBuildMakes(t *testing.T) {
	for _, tt := range []struct {
		name          string
		sources, made []string
		want          []string
	}{
		{"vite", []string{"index.html"}, []string{"index.html", "dist/index.html", "dist/assets", "dist/assets/a.js"}, []string{"assets", "assets/a.js", "index.html"}},
		{"create-react-app", []string{"public/index.html"}, []string{"public/index.html", "build/index.html"}, []string{"index.html"}},
		{"an earlier build is still there", []string{"public/index.html", "build/index.html"}, []string{"public/index.html", "build/index.html", "build/b.js"}, []string{"b.js", "index.html"}},
		{"angular", []string{"src/index.html"}, []string{"src/index.html", "dist/shop/browser/index.html", "dist/shop/licenses.txt"}, []string{"index.html"}},
		{"angular, with an earlier build", []string{"src/index.html", "dist/shop/browser/index.html"}, []string{"src/index.html", "dist/shop/browser/index.html", "dist/shop/browser/a.js"}, []string{"a.js", "index.html"}},
		{"pages below", nil, []string{"out/index.html", "out/about/index.html"}, []string{"about/index.html", "index.html"}},
		{"a report beside it", nil, []string{"coverage/index.html", "coverage/base.css", "dist/index.html"}, []string{"index.html"}},
		{"no page", []string{"index.html"}, []string{"index.html", "dist/x.js"}, nil},
	} {
		list := func(prefix string, names []string) (out []layer.File) {
			for _, name := range names {
				out = append(out, layer.Bytes(prefix+name, 0o644, nil))
			}
			return out
		}
		made, err := siteFiles(list("app/", tt.made), list("", tt.sources), ".")
		if (tt.want == nil) != (fault.KindOf(err) == fault.Build && strings.Contains(err.Error(), "made no folder with an index.html")) {
			t.Errorf("%s: err = %v", tt.name, err)
		}
		var names []string
		for _, f := range made {
			names = append(names, strings.TrimPrefix(f.Path, "app/"))
		}
		if slices.Sort(names); !slices.Equal(names, tt.want) {
			t.Errorf("%s: in the image: %v, want %v", tt.name, names, tt.want)
		}
	}
}

// A script that writes files stands in for a bundler.
func TestImageOfASite(t *testing.T) {
	const script = `const fs = require('fs'); fs.mkdirSync('dist'); fs.writeFileSync('dist/index.html', 'made')`
	got, _, err := imageOf(t, map[string]string{
		"package.json": `{"scripts":{"build":"node make.js"}}`, "index.html": "source", "make.js": script, "package-lock.json": `{"lockfileVersion":3,"packages":{"":{}}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"app/index.html", "kn-lite", "kn-lite/site.cjs"}) || got["app/index.html"] != "made" {
		t.Errorf("in the image: %v", names)
	}
}
