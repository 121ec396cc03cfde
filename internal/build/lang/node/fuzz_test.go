package node

import (
	"testing"
	"testing/fstest"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// FuzzLock reads a lock of each tool beside a manifest: what is wrong with them is
// said by kind.
func FuzzLock(f *testing.F) {
	manifest := []byte(`{"name":"app","main":"index.js","dependencies":{"a":"^1"},"devDependencies":{"b":"*"}}`)
	for i, lock := range []string{
		`{"lockfileVersion":3,"packages":{"":{"dependencies":{"a":"^1"}},"node_modules/a":{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz","hasInstallScript":true},"node_modules/b":{"dev":true,"bin":{"b":"b.js"}}}}`,
		`{"lockfileVersion":3,"packages":{"node_modules/a":{"resolved":"../a","link":true},"node_modules/@s/b":{"bin":"b.js","dev":true}}}`,
		`{"packages":{"node_modules/":{"resolved":"file:../x"},"a":{"bin":[1]}}}`,
		"lockfileVersion: '9.0'\npackages:\n  a@1.0.0:\n    resolution: {integrity: sha512-x}\n",
		"# yarn lockfile v1\n\na@^1:\n  version \"1.0.0\"\n", "\n__metadata:\n  version: 8\n", "", "null", "[",
	} {
		f.Add(uint8(i), manifest, []byte(lock))
		f.Add(uint8(i), []byte(`{"packageManager":"pnpm@9"}`), []byte(lock))
	}
	f.Fuzz(func(t *testing.T, kind uint8, manifest, lock []byte) {
		known := locks()
		files := fstest.MapFS{manifestFile: {Data: manifest}, known[int(kind)%len(known)].file: {Data: lock}}
		p := &project{manifestRaw: manifest}
		err := decode(manifestFile, manifest, &p.manifest)
		if err == nil {
			err = p.chooseLock(files)
		}
		if err == nil {
			err = p.checkLock(files)
		}
		if err == nil {
			_, err = p.staged()
		}
		if err != nil && (fault.KindOf(err) == fault.Failure || err.Error() == "") {
			t.Errorf("%q with %q: %v (%v)", manifest, lock, err, fault.KindOf(err))
		}
	})
}
