//go:build unix

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/image/layout"
)

// projectFiles are valid files of projects, by name.
func projectFiles() []file {
	return []file{
		{"go.mod", "module x\n\ngo 1.26\n\nrequire a.example/b v1.0.0\n"},
		{"main.go", "package main\n\nfunc main() {}\n"},
		{"handle.go", handler},
		{"go.work", "go 1.26\n\nuse .\n"},
		{"package.json", `{"scripts":{"start":"node a.js","build":"tsc"},"dependencies":{"a":"1"},"devDependencies":{"typescript":"5"}}`},
		{"package-lock.json", `{"lockfileVersion":3,"packages":{"":{}}}`},
		{"tsconfig.json", "{}"},
		{".npmrc", "registry=x\n"},
		{"pnpm-lock.yaml", "lockfileVersion: '9.0'\n"},
		{"yarn.lock", "# yarn lockfile v1\n"},
		{"requirements.txt", "flask==3 ; python_version > '3' --hash=sha256:x\n-r other.txt\n"},
		{"app.py", "from flask import Flask\napp = Flask(__name__)\n"},
		{"Procfile", "web: gunicorn app:app\n"},
		{"pyproject.toml", "[project]\nname = \"a\"\ndependencies = [\"flask\"]\n[tool.uv.sources]\na = { path = \"b\" }\n"},
		{"uv.lock", "version = 1\n[[package]]\nname = \"a\"\nversion = \"1\"\n"},
		{"poetry.lock", "[[package]]\nname = \"a\"\nversion = \"1\"\n[metadata]\nlock-version = \"2.1\"\n"},
		{"pdm.lock", "[metadata]\n"},
		{"Pipfile.lock", `{"default":{"a":{"version":"==1"}}}`},
		{"setup.cfg", "[options]\ninstall_requires =\n a\n"},
		{"pom.xml", pomFuzz},
		{"build.gradle", "plugins { id 'org.springframework.boot' }\n"},
		{"Cargo.toml", "[package]\nname = \"a\"\nversion = \"0.1.0\"\n[workspace]\nmembers = [\"b/*\"]\n"},
		{"Cargo.lock", "version = 3\n"},
		{"rust-toolchain.toml", "[toolchain]\nchannel = \"x\"\n"},
		{".cargo/config.toml", "[build]\ntarget = \"a\"\n"},
		{"Dockerfile", "FROM scratch\n"},
		{".funcignore", "*.md\n!README.md\n[a\n"},
	}
}

const pomFuzz = "<project><groupId>a</groupId><artifactId>b</artifactId><version>1</version><parent><artifactId>p</artifactId><relativePath>../q</relativePath></parent></project>"

// What is recognised is the work of every reader of a project's files: an answer or an
// error, whatever a file holds.
func FuzzProjectFile(f *testing.F) {
	all := projectFiles()
	for i, seed := range all {
		f.Add(uint8(i), []byte(seed.text))
		f.Add(uint8(i), []byte("\ufeff"+seed.text+"\r\n\x00"))
		f.Add(uint8(i), []byte{})
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		chosen := all[int(which)%len(all)]
		dir := t.TempDir()
		for _, beside := range append([]file{{chosen.name, string(content)}}, companions(chosen.name)...) {
			at := filepath.Join(dir, beside.name)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(beside.text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, language := range append(Languages(), DockerfileLanguage, "") {
			_, _ = Recognise(context.Background(), dir, language, os.Environ())
		}
	})
}

// companions are the files without which a reader does not get as far as name.
func companions(name string) []file {
	var out []file
	for _, f := range projectFiles() {
		switch f.name {
		case "go.mod", "package.json", "requirements.txt", "pyproject.toml", "Cargo.toml", "Cargo.lock", "app.py":
			if f.name != name {
				out = append(out, f)
			}
		}
	}
	return out
}

// FuzzLayout reads manifests and configurations as a layout may hold them.
func FuzzLayout(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"CONFIG"},"layers":[]}`), []byte(`{"rootfs":{"diff_ids":[]}}`), true)
	f.Add([]byte(`{"schemaVersion":2,"config":{},"layers":[{"size":-1,"digest":"sha256:`+zeros+`"}]}`), []byte(`{"rootfs":{"diff_ids":["sha256:`+zeros+`"]},"os":"linux"}`), false)
	f.Add([]byte(`{}`), []byte(`{}`), false)
	f.Add([]byte(`{"manifests":[{"digest":"sha256:`+zeros+`"}]}`), []byte(`{}`), true)
	f.Add([]byte(`{"layers":[{}],"annotations":{"org.opencontainers.image.base.name":"x"}}`), []byte(`{"rootfs":{"diff_ids":["sha256:`+zeros+`"]},"history":[{}]}`), false)
	f.Fuzz(func(t *testing.T, manifest, config []byte, index bool) {
		dir := t.TempDir()
		write := func(raw []byte) v1.Hash {
			digest := v1.Hash{Algorithm: "sha256", Hex: hexDigest(raw)}
			at := layout.BlobFile(dir, digest)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			return digest
		}
		var parsed v1.Manifest
		if json.Unmarshal(manifest, &parsed) == nil {
			parsed.Config.Digest = write(config)
			var err error
			if manifest, err = json.Marshal(parsed); err != nil {
				return
			}
		}
		top := v1.Descriptor{Digest: write(manifest), MediaType: types.OCIManifestSchema1}
		if index {
			top.MediaType = types.OCIImageIndex
		}
		raw, err := json.Marshal(v1.IndexManifest{Manifests: []v1.Descriptor{top}})
		if err != nil {
			return
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		for _, own := range []bool{false, true} {
			k := &layoutReader{ctx: context.Background(), layout: layout.NewReaderIn(root), own: own}
			if r, _, err := k.open(raw); err == nil && len(r.Builds) == 0 {
				t.Error("an image without a platform")
			}
		}
	})
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

// FuzzProgramHead: what begins like a program for Linux may be anything behind that.
func FuzzProgramHead(f *testing.F) {
	head := func(class, order byte, rest ...byte) []byte {
		out := append([]byte("\x7fELF"), class, order, 1)
		return append(append(out, make([]byte, 57)...), rest...)
	}
	for _, seed := range [][]byte{
		nil, []byte("\x7fELF"), []byte("#!/bin/sh\n"), []byte("MZ"), head(2, 1), head(1, 1), head(2, 2), head(1, 2),
		bytes.Repeat([]byte{0xff}, 64), append([]byte("\x7fELF"), bytes.Repeat([]byte{0xff}, 60)...), head(2, 1, 3, 0, 0, 0),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		for arch, m := range machines() {
			if other, is := foreign(head, m.number); is && (other == "" || other == "linux/"+arch) {
				t.Errorf("%x is for %q and not for %s", head, other, arch)
			}
		}
		interpreted(head)
		file := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(file, head, 0o600); err != nil {
			t.Fatal(err)
		}
		if platform, err := staticProgram(file); err == nil && (platform.OS != "linux" || platform.Architecture == "") {
			t.Errorf("%x is for %v", head, platform)
		}
	})
}
