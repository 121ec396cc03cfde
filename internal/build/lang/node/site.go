package node

import (
	"context"
	"crypto/sha256"
	_ "embed" // the server of sites
	"encoding/hex"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// siteServer answers with the files of a folder. See docs/decisions/0018.
//
//go:embed site.cjs
var siteServer []byte

// siteServerFile is its place in the image, beside the project's folder.
const siteServerFile = "kn-lite/site.cjs"

// siteIndex is what a site has in its folder.
const siteIndex = "index.html"

func siteStart() start {
	return start{
		style: "static site", command: []string{"node", "/" + siteServerFile, "/" + home}, static: true,
		advice: []string{"the image serves the files that the build script makes, and nothing else of the project is in it"},
	}
}

// siteLayer holds the server.
func siteLayer() lang.Layer {
	sum := sha256.Sum256(siteServer)
	return lang.Layer{
		Name: "server", From: "kn-lite's own server of files", Key: hex.EncodeToString(sum[:]),
		Files: func(context.Context) ([]layer.File, func() error, error) {
			return []layer.File{layer.Dir(path.Dir(siteServerFile), 0o755), layer.Bytes(siteServerFile, 0o644, siteServer)}, nil, nil
		},
	}
}

// makesSite reports whether the build script makes a site of files: by a tool for
// them, or by one for much else from a page among the sources.
func makesSite(m *manifest, files fs.FS) bool {
	forSites := []string{
		"vite", "react-scripts", "@vue/cli-service", "@angular/cli", "@angular/build", "astro", "parcel", "gatsby", "@11ty/eleventy", "vitepress",
		"@docusaurus/core", "@sveltejs/adapter-static", "hexo",
	}
	if slices.ContainsFunc(forSites, m.depends) {
		return true
	}
	return slices.ContainsFunc([]string{siteIndex, "src/" + siteIndex, "public/" + siteIndex}, func(name string) bool { return exists(files, name) })
}

// exportsSite reports whether Next.js is told to make files in place of a server,
// which `next start` refuses to serve.
func exportsSite(m *manifest, files fs.FS) bool {
	if !m.depends("next") {
		return false
	}
	for _, name := range []string{"next.config.js", "next.config.mjs", "next.config.ts"} {
		text, err := read(files, name)
		if err == nil && regexp.MustCompile(`(?m)^[^/\n]*\boutput\s*:\s*['"]export['"]`).Match(text) {
			return true
		}
	}
	return false
}

// siteFiles returns the files of the site among what a build has left, as the project's
// folder of the image.
func siteFiles(made, sources []layer.File, label string) ([]layer.File, error) {
	best, least := "", 0
	for _, f := range made {
		folder := path.Dir(strings.TrimPrefix(f.Path, home+"/"))
		if path.Base(f.Path) != siteIndex || folder == "." {
			continue
		}
		if rank := rankSite(folder, sources); best == "" || rank < least || rank == least && folder < best {
			best, least = folder, rank
		}
	}
	if best == "" {
		return nil, fault.New(fault.Build, "build.node", label, "the build script made no folder with an %s, and there is no start script", siteIndex).
			WithHint("where it makes a server, say how that starts: npm pkg set scripts.start='node FILE'")
	}
	var out []layer.File
	for _, f := range made {
		if rest, ok := strings.CutPrefix(f.Path, home+"/"+best+"/"); ok {
			f.Path = home + "/" + rest
			out = append(out, f)
		}
	}
	return out, nil
}

// rankSite is lower for a folder that is more likely the site: one that the project
// did not have before its build, with a name that tools give it, and not nested.
func rankSite(folder string, sources []layer.File) int {
	names := []string{"dist", "build", "out", "_site", "public"}
	first, _, _ := strings.Cut(folder, "/")
	rank := slices.Index(names, first)
	if rank < 0 {
		rank = len(names)
	}
	rank = 100*rank + strings.Count(folder, "/")
	if slices.ContainsFunc(sources, func(f layer.File) bool { return strings.HasPrefix(f.Path, folder+"/") }) {
		rank += 10_000
	}
	return rank
}
