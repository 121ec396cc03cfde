package python

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

// A .pth file is read as after pip's own installation: a package may need it to be
// found at all.
func TestPathFiles(t *testing.T) {
	out, err := exec.Command("python3", "-I", "-c", "import sys, pip; print('%d.%d.%d' % sys.version_info[:3])").Output()
	if err != nil {
		t.Skip("there is no pip")
	}
	version := strings.TrimSpace(string(out))
	index := newIndex(t, "index", "", "demo")
	p, _ := open(t, map[string]string{requirementsFile: "demo==1.0\n", "main.py": ""})
	p.Environ = lang.With(p.Environ, "PIP_INDEX_URL="+index.url, "PIP_FIND_LINKS=", "PIP_CONFIG_FILE="+os.DevNull)
	index.files["simple/demo/demo-1.0-py3-none-any.whl"] = wheelBytes(t, "demo", "1.0", "index", "", [2]string{"demo.pth", "nested\n"}, [2]string{"nested/deep.py", "where = 'nested'\n"})
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	to := target("amd64", majorMinor(version))
	to.BaseConfig.Env = []string{"PYTHON_VERSION=" + version}
	layers, err := Language{}.Layers(context.Background(), p, plan, to)
	if err != nil {
		t.Fatal(err)
	}
	files, cleanup, err := layers[0].Files(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := lang.WriteFiles(root, files); err != nil {
		t.Fatal(err)
	}
	if err := cleanup(); err != nil {
		t.Error(err)
	}
	cmd := exec.Command("python3", "-c", "import deep, demo; print(deep.where, demo.origin)")
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(root, dependencies), "PYTHONUSERBASE="+filepath.Join(root, strings.TrimPrefix(lang.Lookup(plan.Env, "PYTHONUSERBASE"), "/")))
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "nested index\n" {
		t.Errorf("%s, %v", out, err)
	}
}
