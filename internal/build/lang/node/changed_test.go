package node

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// patched is a project whose own scripts write among its dependencies.
func patched(public *packages, scripts string) map[string]string {
	return map[string]string{
		"package.json": `{"name":"app","version":"1.0.0","scripts":{"start":"node index.js",` + scripts + `},"dependencies":{"dep":"1.0.0"},"devDependencies":{"tool":"1.0.0"}}`,
		".npmrc":       "registry=" + public.url + "/\n",
		"index.js":     "1",
		"patch.js":     "const fs = require('fs'); for (const name of ['dep', 'tool']) fs.appendFileSync('node_modules/' + name + '/index.js', ' // patched')",
		"generate.js":  "const fs = require('fs'); fs.mkdirSync('node_modules/.client'); fs.writeFileSync('node_modules/.client/index.js', 'generated'); fs.mkdirSync('node_modules/.cache'); fs.writeFileSync('node_modules/.cache/x', '')",
		"package-lock.json": fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{"dep":"1.0.0"},"devDependencies":{"tool":"1.0.0"}},
			"node_modules/dep":{"version":"1.0.0","resolved":"%[1]s/dep/-/dep-1.0.0.tgz","integrity":"%[2]s","bin":{"dep":"cli.js"}},
			"node_modules/tool":{"version":"1.0.0","resolved":"%[1]s/tool/-/tool-1.0.0.tgz","integrity":"%[3]s","dev":true,"bin":{"tool":"cli.js"}}}}`, public.url, public.integrity("dep"), public.integrity("tool")),
	}
}

// What the project's own scripts change among its dependencies is in the image:
// patches, and clients that are generated there.
func TestScriptsChangeDependencies(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm")
	}
	public := newPackages(t, "public", "", "dep", "tool")
	const untouched = "module.exports = 'public'\n"
	for _, tt := range []struct {
		name, scripts string
		dep, client   string
	}{
		{"both", `"postinstall":"node patch.js","build":"node generate.js"`, untouched + " // patched", "generated"},
		{"hooks of Git", `"postinstall":"husky install","prepare":"husky || true"`, untouched, ""},
	} {
		got, _, err := imageOf(t, patched(public, tt.scripts))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if dep := got["app/node_modules/dep/index.js"]; dep != tt.dep {
			t.Errorf("%s: the dependency is %q, want %q", tt.name, dep, tt.dep)
		}
		if client := got["app/node_modules/.client/index.js"]; client != tt.client {
			t.Errorf("%s: the client is %q, want %q", tt.name, client, tt.client)
		}
		for name := range got {
			if strings.HasPrefix(name, "app/node_modules/tool") || strings.HasPrefix(name, "app/node_modules/.cache") || name == "app/node_modules/.package-lock.json" {
				t.Errorf("%s: %s is in the image", tt.name, name)
			}
		}
	}
	_, _, err := imageOf(t, patched(public, `"postinstall":"echo no patch for dep; exit 3"`))
	if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "the postinstall script failed\nno patch for dep") {
		t.Errorf("a script that fails: %v", err)
	}
}
