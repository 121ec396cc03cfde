package lockfile

import (
	"testing"
	"testing/fstest"
)

// FuzzRead reads a lock of each kind beside a manifest, and chooses from it.
func FuzzRead(f *testing.F) {
	manifest := []byte("[project]\nname = \"a\"\ndependencies = [\"demo[fast]>=1,<2 ; python_version > '3'\"]\n[tool.poetry.dependencies]\npython = \"^3.9\"\ndemo = {version = \"^1\", extras = [\"fast\"]}\n")
	for i, text := range []string{
		"version = 1\n[[package]]\nname = \"demo\"\nversion = \"1.0\"\nsource = { registry = \"https://pypi.org/simple\" }\ndependencies = [{ name = \"demo\", version = \"2\", marker = \"python_version >= '3.12'\" }]\noptional-dependencies = { fast = [{ name = \"demo\" }] }\n",
		"[[package]]\nname = \"demo\"\nversion = \"1.0\"\nfiles = [ {file = \"demo.whl\", hash = \"sha256:00\"} ]\n[package.dependencies]\ndemo = {version = \"*\", optional = true, markers = \"extra == \\\"fast\\\"\"}\n[metadata]\nlock-version = \"2.1\"\n",
		"[metadata]\ngroups = [\"default\"]\n[[package]]\nname = \"demo\"\nversion = \"1\"\ndependencies = [\"demo>=1; extra == 'x'\"]\nfiles = [{file = \"a\", hash = \"b\"}]\n",
		"lock-version = \"1.0\"\n[[packages]]\nname = \"demo\"\nversion = \"1\"\nmarker = \"'x' in extras\"\nwheels = [{url = \"https://a/b.whl\", hashes = {sha256 = \"00\"}}]\n",
		`{"_meta":{"sources":[{"name":"pypi","url":"https://pypi.org/simple"}]},"default":{"demo":{"version":"==1","markers":"python_version > '3'","hashes":["sha256:00"]}}}`,
	} {
		f.Add(uint8(i), manifest, []byte(text))
		f.Add(uint8(i), []byte{}, []byte(text))
	}
	names := Names()
	f.Fuzz(func(_ *testing.T, kind uint8, manifest, lock []byte) {
		files := fstest.MapFS{
			ProjectFile:                 {Data: manifest},
			names[int(kind)%len(names)]: {Data: lock},
		}
		m, err := ReadManifest(files)
		if err != nil {
			return
		}
		read, err := Read(files, m, func(string) {})
		if err != nil {
			return
		}
		_, _, _ = read.PackageNames(), read.Folders(), m.Names()
		_, _ = read.LocalFiles()
		_, _ = read.Select(linux("3.11.1"))
	})
}
