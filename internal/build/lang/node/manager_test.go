package node

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// packages serves packages of version 1.0.0 as a registry of npm does, to who has
// the token.
type packages struct {
	url     string
	token   string
	tarball map[string][]byte
}

func newPackages(t *testing.T, origin, token string, names ...string) *packages {
	t.Helper()
	r := &packages{token: token, tarball: map[string][]byte{}}
	for _, name := range names {
		var out bytes.Buffer
		zw := gzip.NewWriter(&out)
		tw := tar.NewWriter(zw)
		base := filepath.Base(name)
		for _, f := range [][2]string{
			{"package/package.json", fmt.Sprintf(`{"name":%q,"version":"1.0.0","bin":{%q:"cli.js"}}`, name, base)},
			{"package/cli.js", "#!/usr/bin/env node\nrequire('fs').writeFileSync('made.txt', 'by " + base + "')\n"},
			{"package/index.js", "module.exports = '" + origin + "'\n"},
		} {
			if err := tw.WriteHeader(&tar.Header{Name: f[0], Mode: 0o755, Size: int64(len(f[1]))}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(tw, f[1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := tw.Close(); err != nil {
			t.Fatal(err)
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		r.tarball[name] = out.Bytes()
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *packages) integrity(name string) string {
	sum := sha512.Sum512(r.tarball[name])
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (r *packages) shasum(name string) string {
	sum := sha1.Sum(r.tarball[name])
	return hex.EncodeToString(sum[:])
}

// ServeHTTP implements http.Handler.
func (r *packages) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.token != "" && q.Header.Get("Authorization") != "Bearer "+r.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name, file, isFile := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/-/")
	raw, ok := r.tarball[name]
	switch {
	case !ok:
		http.NotFound(w, q)
	case isFile && strings.HasSuffix(file, ".tgz"):
		_, _ = w.Write(raw)
	default:
		version := map[string]any{
			"name": name, "version": "1.0.0", "bin": map[string]string{filepath.Base(name): "cli.js"},
			"dist": map[string]string{"tarball": r.url + "/" + name + "/-/" + filepath.Base(name) + "-1.0.0.tgz", "integrity": r.integrity(name), "shasum": r.shasum(name)},
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "dist-tags": map[string]string{"latest": "1.0.0"}, "versions": map[string]any{"1.0.0": version}})
	}
}

// toolOf skips where a tool is not on this machine, or is of another generation.
func toolOf(t *testing.T, name, version string) {
	t.Helper()
	out, err := exec.Command(name, "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), version) {
		t.Skipf("there is no %s %s", name, version)
	}
}

// imageOf makes all layers of a project and returns its files: text, or the target of a link.
func imageOf(t *testing.T, files map[string]string) (map[string]string, *progresstest.Recorder, error) {
	t.Helper()
	return imageIn(t, "", files)
}

// imageIn is imageOf for a project in a folder among the files.
func imageIn(t *testing.T, folder string, files map[string]string) (map[string]string, *progresstest.Recorder, error) {
	t.Helper()
	of := maps.Clone(files)
	delete(of, "HOME/.npmrc")
	p, said := open(t, of)
	if folder != "" {
		p.Dir = filepath.Join(p.Dir, folder)
		tree, err := source.Open(p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		p.Source = tree
	}
	home := t.TempDir()
	if text, ok := files["HOME/.npmrc"]; ok {
		if err := os.WriteFile(filepath.Join(home, ".npmrc"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.Environ = lang.With(p.Environ, "HOME="+home, "npm_config_cache="+home+"/npm", "YARN_CACHE_FOLDER="+home+"/yarn", "XDG_DATA_HOME="+home+"/data", "XDG_CACHE_HOME="+home+"/cache", "CI=1")
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		return nil, said, err
	}
	defer plan.Detail.(io.Closer).Close()
	for _, advice := range plan.Advice {
		said.Note(advice)
	}
	layers, err := Language{}.Layers(context.Background(), p, plan, lang.Target{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, BaseRef: "node:22"})
	if err != nil {
		return nil, said, err
	}
	got := map[string]string{}
	for _, l := range layers {
		made, cleanup, err := l.Files(context.Background())
		if err != nil {
			return nil, said, err
		}
		for _, f := range made {
			got[f.Path] = f.Link
			if f.Mode.IsRegular() {
				var text bytes.Buffer
				if err := lang.CopyFile(&text, f); err != nil {
					t.Fatal(err)
				}
				got[f.Path] = text.String()
			}
		}
		if cleanup != nil {
			if err := cleanup(); err != nil {
				t.Error(err)
			}
		}
	}
	return got, said, nil
}

// Each lock is installed by the tool that wrote it, from the registries that it and
// .npmrc name; the token for that is nowhere in the image.
func TestLocksOfManagers(t *testing.T) {
	public := newPackages(t, "public", "", "dep", "tool", "@corp/secret")
	private := newPackages(t, "private", "canary-token", "@corp/secret")
	manifest := `{"name":"app","version":"1.0.0","scripts":{"start":"node index.js"},"dependencies":{"dep":"1.0.0","@corp/secret":"1.0.0"},"devDependencies":{"tool":"1.0.0"}}`
	npmrc := "registry=" + public.url + "/\n@corp:registry=" + private.url + "/\n"
	user := "//" + strings.TrimPrefix(private.url, "http://") + "/:_authToken=canary-token\n"
	for _, tt := range []struct {
		tool, version string
		files         map[string]string
	}{
		{"npm", "", map[string]string{"package-lock.json": fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{"@corp/secret":"1.0.0","dep":"1.0.0"},"devDependencies":{"tool":"1.0.0"}},
			"node_modules/dep":{"version":"1.0.0","resolved":"%[1]s/dep/-/dep-1.0.0.tgz","integrity":"%[2]s","bin":{"dep":"cli.js"}},
			"node_modules/@corp/secret":{"version":"1.0.0","resolved":"%[3]s/@corp/secret/-/secret-1.0.0.tgz","integrity":"%[4]s"},
			"node_modules/tool":{"version":"1.0.0","resolved":"%[1]s/tool/-/tool-1.0.0.tgz","integrity":"%[5]s","dev":true,"bin":{"tool":"cli.js"}}}}`,
			public.url, public.integrity("dep"), private.url, private.integrity("@corp/secret"), public.integrity("tool"))}},
		{"pnpm", "", map[string]string{"pnpm-lock.yaml": fmt.Sprintf("lockfileVersion: '9.0'\n\nsettings:\n  autoInstallPeers: true\n  excludeLinksFromLockfile: false\n\nimporters:\n\n  .:\n    dependencies:\n      '@corp/secret':\n        specifier: 1.0.0\n        version: 1.0.0\n      dep:\n        specifier: 1.0.0\n        version: 1.0.0\n"+
			"    devDependencies:\n      tool:\n        specifier: 1.0.0\n        version: 1.0.0\n\npackages:\n\n  '@corp/secret@1.0.0':\n    resolution: {integrity: %s}\n    hasBin: true\n\n  dep@1.0.0:\n    resolution: {integrity: %s}\n    hasBin: true\n\n  tool@1.0.0:\n    resolution: {integrity: %s}\n    hasBin: true\n\nsnapshots:\n\n  '@corp/secret@1.0.0': {}\n\n  dep@1.0.0: {}\n\n  tool@1.0.0: {}\n",
			private.integrity("@corp/secret"), public.integrity("dep"), public.integrity("tool"))}},
		{"yarn", "1.", map[string]string{"yarn.lock": fmt.Sprintf("# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n\n\"@corp/secret@1.0.0\":\n  version \"1.0.0\"\n  resolved \"%[3]s/@corp/secret/-/secret-1.0.0.tgz#%[6]s\"\n  integrity %[4]s\n\ndep@1.0.0:\n  version \"1.0.0\"\n  resolved \"%[1]s/dep/-/dep-1.0.0.tgz#%[7]s\"\n  integrity %[2]s\n\ntool@1.0.0:\n  version \"1.0.0\"\n  resolved \"%[1]s/tool/-/tool-1.0.0.tgz#%[8]s\"\n  integrity %[5]s\n",
			public.url, public.integrity("dep"), private.url, private.integrity("@corp/secret"), public.integrity("tool"), private.shasum("@corp/secret"), public.shasum("dep"), public.shasum("tool"))}},
	} {
		t.Run(tt.tool, func(t *testing.T) {
			toolOf(t, tt.tool, tt.version)
			files := map[string]string{"package.json": manifest, "index.js": "1", ".npmrc": npmrc, "HOME/.npmrc": user}
			for name, text := range tt.files {
				files[name] = text
			}
			got, _, err := imageOf(t, files)
			if err != nil {
				t.Fatal(err)
			}
			at := func(name string) string {
				for file, text := range got {
					if strings.HasSuffix(file, "node_modules/"+name+"/index.js") {
						return text
					}
				}
				return ""
			}
			if at("@corp/secret") != "module.exports = 'private'\n" || at("dep") != "module.exports = 'public'\n" || at("tool") != "" {
				t.Errorf("secret %q, dep %q, tool %q", at("@corp/secret"), at("dep"), at("tool"))
			}
			if link, ok := got["app/node_modules/.bin/dep"]; !ok || !strings.HasSuffix(link, "/cli.js") {
				t.Errorf("the program of dep: %q", link)
			}
			for name, text := range got {
				if strings.Contains(text, "canary-token") || strings.Contains(text, "transpile-") || strings.Contains(text, "/node/install-") {
					t.Errorf("%s: %s", name, text)
				}
			}
		})
	}
}

func TestManagerThatIsNotThere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for lock, tool := range map[string]string{"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"} {
		_, _, err := imageOf(t, map[string]string{"package.json": `{"scripts":{"start":"node x"},"dependencies":{"x":"1"}}`, lock: "x"})
		if err == nil || fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), tool+" wrote this lock") || !strings.Contains(fault.HintOf(err), "npm install -g "+tool) {
			t.Errorf("%s: %v", lock, err)
		}
	}
}

// A workspace is a folder of the project: node_modules links to it, and has what it needs.
func TestWorkspaces(t *testing.T) {
	toolOf(t, "npm", "")
	public := newPackages(t, "public", "", "dep")
	got, _, err := imageOf(t, map[string]string{
		"package.json": `{"name":"root","private":true,"workspaces":["packages/*"],"scripts":{"start":"node packages/web/server.js"}}`, ".npmrc": "registry=" + public.url + "/\n",
		"packages/web/package.json": `{"name":"web","version":"1.0.0","scripts":{"prepare":"exit 1"},"dependencies":{"lib":"1.0.0"}}`, "packages/web/server.js": "require('lib')",
		"packages/lib/package.json": `{"name":"lib","version":"1.0.0","main":"lib.js","dependencies":{"dep":"1.0.0"}}`, "packages/lib/lib.js": "1",
		"package-lock.json": fmt.Sprintf(`{"name":"root","lockfileVersion":3,"requires":true,"packages":{"":{"name":"root","workspaces":["packages/*"]},
			"node_modules/dep":{"version":"1.0.0","resolved":"%s/dep/-/dep-1.0.0.tgz","integrity":"%s"},
			"node_modules/lib":{"resolved":"packages/lib","link":true},"node_modules/web":{"resolved":"packages/web","link":true},
			"packages/lib":{"version":"1.0.0","dependencies":{"dep":"1.0.0"}},"packages/web":{"version":"1.0.0","dependencies":{"lib":"1.0.0"}}}}`, public.url, public.integrity("dep")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got["app/node_modules/lib"] != "../packages/lib" || got["app/packages/lib/lib.js"] != "1" || got["app/node_modules/dep/index.js"] == "" {
		t.Errorf("%v", slices.Sorted(func(yield func(string) bool) {
			for name := range got {
				if !yield(name) {
					return
				}
			}
		}))
	}
}

// The build script of a JavaScript project runs with the development dependencies,
// which are not in the image; what it makes is, and what it remembers is not.
func TestBuildScriptOfJavaScript(t *testing.T) {
	toolOf(t, "npm", "")
	public := newPackages(t, "public", "", "dep", "tool")
	files := map[string]string{
		"package.json": `{"name":"app","version":"1.0.0","scripts":{"build":"tool && node make.js","prestart":"npm run build","start":"node .next/server.js"},"peerDependencies":{"dep":"1.0.0"},"devDependencies":{"tool":"1.0.0"}}`,
		"make.js":      "const fs=require('fs');fs.mkdirSync('.next/cache',{recursive:true});fs.writeFileSync('.next/server.js','1');fs.writeFileSync('.next/cache/x','1')", ".npmrc": "registry=" + public.url + "/\n",
		"package-lock.json": fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0","devDependencies":{"tool":"1.0.0"},"peerDependencies":{"dep":"1.0.0"}},
			"node_modules/dep":{"version":"1.0.0","resolved":"%[1]s/dep/-/dep-1.0.0.tgz","integrity":"%[2]s","peer":true},
			"node_modules/tool":{"version":"1.0.0","resolved":"%[1]s/tool/-/tool-1.0.0.tgz","integrity":"%[3]s","dev":true,"bin":{"tool":"cli.js"}}}}`, public.url, public.integrity("dep"), public.integrity("tool")),
	}
	got, _, err := imageOf(t, files)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"app/.next/server.js": true, "app/made.txt": true, "app/node_modules/dep/index.js": true, "app/node_modules/tool/index.js": false, "app/.next/cache/x": false, "app/.next/cache": false,
	} {
		if _, ok := got[name]; ok != want {
			t.Errorf("%s is in the image: %v", name, ok)
		}
	}
	// As npm ci --omit=dev && npm start, a start by a development dependency fails.
	files["package.json"] = strings.Replace(files["package.json"], "node .next/server.js", "NODE_ENV=production tool x", 1)
	if _, _, err = imageOf(t, files); fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "the start script runs tool, which is a development dependency") {
		t.Errorf("err = %v", err)
	}
}

func TestScriptsAroundStart(t *testing.T) {
	for start, want := range map[string][]string{
		"node x.js":         {"/bin/sh", "-c", "(node migrate.js) && exec node x.js"},
		"A=1 node x.js":     {"/bin/sh", "-c", "(node migrate.js) && A=1 exec node x.js"},
		"node x.js || true": {"/bin/sh", "-c", "(node migrate.js) && node x.js || true"},
	} {
		m := &manifest{Scripts: map[string]string{"prestart": "node migrate.js", "start": start}}
		got, err := (&project{manifest: *m}).chooseStart(os.DirFS(t.TempDir()))
		if err != nil || !slices.Equal(got.command, want) {
			t.Errorf("%s: %q, %v", start, got.command, err)
		}
	}
	p := &project{manifest: manifest{Scripts: map[string]string{"preinstall": "node check.js", "poststart": "x"}}}
	if said := strings.Join(p.advice(), "\n"); !strings.Contains(said, "own preinstall script is not run") || !strings.Contains(said, "poststart") {
		t.Error(said)
	}
}
