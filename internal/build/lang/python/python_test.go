package python

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// open returns a project of files.
func open(t *testing.T, files map[string]string) (*lang.Project, *progresstest.Recorder) {
	t.Helper()
	dir := t.TempDir()
	langtest.Write(t, dir, files)
	return langtest.Open(t, dir)
}

func target(arch, version string) lang.Target {
	return lang.Target{
		Platform: v1.Platform{OS: "linux", Architecture: arch}, BaseRef: "python:" + version,
		BaseConfig: &v1.Config{Env: []string{"PYTHON_VERSION=" + version + ".1"}},
	}
}

func TestStart(t *testing.T) {
	django := "os.environ.setdefault('DJANGO_SETTINGS_MODULE', \"shop.settings.base\")"
	flask := "import flask\nsite = flask.Flask(__name__)\n"
	tests := []struct {
		name         string
		files        fstest.MapFS
		requirements []string
		command      string
		serves       bool
		says         string
	}{
		{"function package", fstest.MapFS{"function/__init__.py": {}}, nil, "python3 /kn-lite/serve.py", true, ""},
		{"function module", fstest.MapFS{"function.py": {}}, nil, "python3 /kn-lite/serve.py", true, ""},
		{"Procfile", fstest.MapFS{"Procfile": {Data: []byte("worker: x\nweb:  A=1 gunicorn app:app\n")}, "function.py": {}}, nil, "gunicorn app:app", false, ""},
		{"Procfile with a variable", fstest.MapFS{"Procfile": {Data: []byte("web: gunicorn -b :$PORT app:app")}}, nil, "/bin/sh -c gunicorn -b :$PORT app:app", false, ""},
		{"Django", fstest.MapFS{"manage.py": {Data: []byte(django)}, "shop/wsgi.py": {}}, []string{"Django==5", "gunicorn"}, "python3 -m gunicorn --worker-tmp-dir /tmp --threads 8 --timeout 0 shop.wsgi:application", false, ""},
		{"Django on uvicorn", fstest.MapFS{"manage.py": {Data: []byte(django)}, "shop/wsgi.py": {}}, []string{"uvicorn[standard]>=0.3"}, "python3 -m uvicorn shop.asgi:application", false, ""},
		{"Flask", fstest.MapFS{"app.py": {Data: []byte(flask)}}, []string{"Flask", "gunicorn"}, "python3 -m gunicorn --worker-tmp-dir /tmp --threads 8 --timeout 0 app:site", false, ""},
		{"Flask on waitress", fstest.MapFS{"wsgi.py": {Data: []byte(flask)}}, []string{"waitress"}, "python3 -m waitress --listen=0.0.0.0:8080 wsgi:site", false, ""},
		{"FastAPI", fstest.MapFS{"main.py": {Data: []byte("api: FastAPI = FastAPI(title='x')\n")}}, []string{"fastapi", "uvicorn"}, "python3 -m uvicorn main:api", false, ""},
		{"Starlette on hypercorn", fstest.MapFS{"asgi.py": {Data: []byte("app = Starlette()\n")}}, []string{"Hyper_Corn", "hypercorn"}, "python3 -m hypercorn --bind 0.0.0.0:8080 asgi:app", false, ""},
		{"program", fstest.MapFS{"main.py": {Data: []byte("print(1)\n")}}, nil, "python3 main.py", false, ""},
		{"Flask without a server", fstest.MapFS{"app.py": {Data: []byte(flask)}}, []string{"flask"}, "python3 -m hypercorn --bind 0.0.0.0:8080 wsgi:app:site", false, ""},
		{"Flask package with a factory", fstest.MapFS{"flaskr/__init__.py": {Data: []byte("import os\nfrom flask import Flask\n\ndef create_app(test_config=None):\n    app = Flask(__name__)\n    return app\n")}, "tests/__init__.py": {}}, []string{"flask", "gunicorn"}, "python3 -m gunicorn --worker-tmp-dir /tmp --threads 8 --timeout 0 flaskr:create_app()", false, ""},
		{"Flask package without a server", fstest.MapFS{"src/flaskr/__init__.py": {Data: []byte("from flask import Flask\ndef create_app():\n    return Flask(__name__)\n")}}, []string{"flask"}, "python3 -m hypercorn --bind 0.0.0.0:8080 wsgi:flaskr:create_app()", false, ""},
		{"FastAPI in app/main.py", fstest.MapFS{"app/main.py": {Data: []byte("from fastapi import FastAPI\napp = FastAPI()\n")}}, []string{"fastapi", "uvicorn"}, "python3 -m uvicorn app.main:app", false, ""},
		{"FastAPI with a factory", fstest.MapFS{"app/main.py": {Data: []byte("from fastapi import FastAPI\ndef create_app() -> FastAPI:\n    return FastAPI()\n")}}, []string{"uvicorn"}, "python3 -m uvicorn --factory app.main:create_app", false, ""},
		{"a package beside a program", fstest.MapFS{"lib/__init__.py": {Data: []byte("x = 1\n")}, "main.py": {Data: []byte("print(1)\n")}}, nil, "python3 main.py", false, ""},
		{"FastAPI on gunicorn only", fstest.MapFS{"main.py": {Data: []byte("app = FastAPI()\n")}}, []string{"gunicorn"}, "python3 -m hypercorn --bind 0.0.0.0:8080 main:app", false, ""},
		{"nothing", fstest.MapFS{"lib.py": {}}, nil, "", false, "cannot tell how to start it"},
	}
	for _, tt := range tests {
		got, err := startOf(tt.files, tt.requirements)
		if command := strings.Join(got.command, " "); command != tt.command || got.serves != tt.serves {
			t.Errorf("%s: %q, %v", tt.name, command, got.serves)
		}
		if tt.says != "" && (fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" || !strings.Contains(err.Error(), tt.says)) || tt.says == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRequirements(t *testing.T) {
	tests := []struct {
		name   string
		files  map[string]string
		want   []string
		pinned bool
		says   string
	}{
		{"none", nil, nil, true, ""},
		{"pinned", map[string]string{requirementsFile: "# all\nflask==3.0.0 # web\n\nuvicorn[standard]==0.30.1\nx === 1 ; python_version < '3.9'\n--index-url https://x\n"}, []string{"flask==3.0.0", "uvicorn[standard]==0.30.1", "x === 1 ; python_version < '3.9'", "--index-url https://x"}, true, ""},
		{"hashes", map[string]string{requirementsFile: "a==1 \\\n    --hash=sha256:00\n"}, []string{"a==1      --hash=sha256:00"}, true, ""},
		{"open", map[string]string{requirementsFile: "flask>=3\n"}, []string{"flask>=3"}, false, ""},
		{"a star", map[string]string{requirementsFile: "flask==3.*\n"}, []string{"flask==3.*"}, false, ""},
		{"a range", map[string]string{requirementsFile: "flask==3,!=3.1\n"}, []string{"flask==3,!=3.1"}, false, ""},
		{"pyproject", map[string]string{projectFile: "[project]\ndependencies = [\"a==1\", \"b\"]\n[project.optional-dependencies]\ntest = [\"pytest\"]\n"}, []string{"a==1", "b"}, false, ""},
		{"both", map[string]string{projectFile: "[project]\ndependencies = [\"a\"]\n", requirementsFile: "a==2\n"}, []string{"a==2"}, true, ""},
		{"no project table", map[string]string{projectFile: "[tool.x]\n"}, nil, true, ""},
		{"broken", map[string]string{projectFile: "[project]\nname = \n"}, nil, false, "pyproject.toml:2:"},
		{"included", map[string]string{requirementsFile: "-r req/base.txt\nb==1\n", "req/base.txt": "--requirement=more.txt\n", "req/more.txt": "a==1\n"}, []string{"a==1", "b==1"}, true, ""},
		{"included and not there", map[string]string{requirementsFile: "-r base.txt\n"}, nil, false, "base.txt: a file of requirements names it, and it is not there"},
		{"included in a circle", map[string]string{requirementsFile: "-r requirements.txt\n"}, nil, false, "include one another"},
		{"editable itself", map[string]string{requirementsFile: "-e .\nb==1\n", projectFile: "[project]\ndependencies = [\"a==2\"]\n"}, []string{"a==2", "b==1"}, true, ""},
		{"editable, of setup.cfg", map[string]string{requirementsFile: "-e .[web]\n", setupConfig: "[options]\ninstall_requires =\n    a==2 # x\n    b>1\npackages = find:\n"}, []string{"a==2", "b>1"}, false, ""},
		{"editable folder", map[string]string{requirementsFile: "-e ./lib\n", "lib/pyproject.toml": "[project]\ndependencies = [\"a==2\"]\n"}, []string{"a==2"}, true, ""},
		{"folder outside", map[string]string{requirementsFile: "../lib\n"}, nil, false, "outside of the project"},
		{"itself in itself", map[string]string{projectFile: "[project]\ndependencies = [\"a @ file:.\"]\n"}, nil, false, "folders name one another"},
		{"wheel", map[string]string{requirementsFile: "wheels/a-1-py3-none-any.whl --hash=sha256:00\n", "wheels/a-1-py3-none-any.whl": ""}, []string{"${PROJECT}/wheels/a-1-py3-none-any.whl --hash=sha256:00"}, true, ""},
		{"file of the machine", map[string]string{requirementsFile: "a @ file:///x.whl\n"}, nil, false, "no such file in the project"},
		{"a folder of wheels", map[string]string{requirementsFile: "-r deps/all.txt\n", "deps/all.txt": "-f wheels\n--find-links=https://x/y\na==1"}, []string{"-f ${PROJECT}/deps/wheels", "--find-links=https://x/y", "a==1"}, true, ""},
		{"repository", map[string]string{requirementsFile: "git+https://me:canary@x/y\n"}, nil, false, "git+https://x/y: a repository holds no wheel"},
		{"byte order mark and CRLF", map[string]string{requirementsFile: "\xef\xbb\xbfflask==3\r\ngunicorn==2 \\\r\n --hash=sha256:00\r\n"}, []string{"flask==3", "gunicorn==2   --hash=sha256:00"}, true, ""},
		{"UTF-16", map[string]string{requirementsFile: "\xff\xfea\x00=\x00=\x001\x00\r\x00\n\x00"}, []string{"a==1"}, true, ""},
		{"UTF-16, the other way round", map[string]string{requirementsFile: "\xfe\xff\x00a\x00=\x00=\x001"}, []string{"a==1"}, true, ""},
		{"poetry without a lock", map[string]string{projectFile: "[tool.poetry.dependencies]\npython = \"^3.9\"\nflask = \"^3\"\nhttpx = {version = \"~0.27.1\", extras = [\"http2\"], markers = \"python_version > '3.8'\"}\nred = {version = \"1\", optional = true}\nany = \"*\"\n"}, []string{"any", "flask>=3,<4", "httpx[http2]>=0.27.1,<0.28 ; python_version > '3.8'"}, false, ""},
		{"poetry with a repository and no lock", map[string]string{projectFile: "[tool.poetry.dependencies]\nflask = {git = \"https://x/y\"}\n"}, nil, false, "[tool.poetry.dependencies] asks for flask in a way that only Poetry knows"},
		{"Pipfile without a lock", map[string]string{pipFile: "[packages]\nflask = \"*\"\n"}, nil, false, "there is no Pipfile.lock"},
		{"dynamic", map[string]string{projectFile: "[project]\ndynamic = [\"dependencies\"]\n"}, nil, false, "its dependencies are dynamic"},
		{"dynamic, from a file", map[string]string{projectFile: "[project]\ndynamic = [\"dependencies\"]\n[tool.setuptools.dynamic]\ndependencies = {file = [\"reqs.in\"]}\n", "reqs.in": "a==1\n"}, []string{"a==1"}, true, ""},
		{"setup.py", map[string]string{setupFile: "setup(install_requires=['flask'])"}, nil, false, "its install_requires is known only to who runs it"},
		{"setup.py that asks for nothing", map[string]string{setupFile: "setup(name='x')"}, nil, true, ""},
		{"setup.cfg", map[string]string{setupConfig: "[options.extras_require]\ninstall_requires = x\n[options]\ninstall_requires = a==1\n"}, []string{"a==1"}, true, ""},
		{"sources without a lock", map[string]string{projectFile: "[project]\ndependencies = [\"a==1\"]\n[tool.uv.sources]\na = {index = \"corp\"}\n"}, nil, false, "[tool.uv.sources] says where packages come from, and there is no lock"},
		{"index without a lock", map[string]string{projectFile: "[project]\ndependencies = [\"a==1\"]\n[[tool.uv.index]]\nurl = \"https://x\"\n"}, nil, false, "[[tool.uv.index]] says where"},
	}
	for _, tt := range tests {
		p, _ := open(t, tt.files)
		found := &project{}
		err := found.readDependencies(p.Source.FS(), func(string) {})
		if tt.says != "" {
			if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, found.requirements); diff != "" || err != nil || found.pinned != tt.pinned {
			t.Errorf("%s: pinned %v, %v\n%s", tt.name, found.pinned, err, diff)
		}
	}
}

// wheel writes a wheel of the package demo with a file that says which it is.
func wheel(t *testing.T, dir, name, tag, requires string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name+"-1.0-"+tag+".whl"))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	info := name + "-1.0.dist-info/"
	metadata := "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n" + requires
	files := map[string]string{
		name + "/__init__.py":       "tag = '" + tag + "'\n",
		info + "METADATA":           metadata,
		info + "WHEEL":              "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: " + tag + "\n",
		info + "entry_points.txt":   "[console_scripts]\n" + name + " = " + name + ":main\n",
		info + "RECORD":             "",
		name + "/data/réadme.txt":   "x",
		name + "/__pycache__/a.pyc": "compiled",
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		entry, err := w.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(entry, files[file]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// installed runs the dependency layer of a project and returns what is in it.
func installed(t *testing.T, wheels, requirements string, to lang.Target) (map[string]string, *progresstest.Recorder, error) {
	t.Helper()
	if err := exec.Command("python3", "-I", "-m", "pip", "--version").Run(); err != nil {
		t.Skip("there is no pip")
	}
	p, said := open(t, map[string]string{requirementsFile: requirements, "main.py": ""})
	p.Environ = lang.With(p.Environ, "PIP_FIND_LINKS="+wheels, "PIP_NO_INDEX=1", "PIP_CONFIG_FILE="+os.DevNull)
	found, err := inspect(p)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := Language{}.Layers(context.Background(), p, &lang.Plan{Detail: found}, to)
	if err != nil {
		t.Fatal(err)
	}
	got, err := langtest.Contents(t, layers[0])
	if left, _ := filepath.Glob(filepath.Join(p.CacheDir, "python", "*")); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}
	return got, said, err
}

// The wheel is the one for the target, whatever this machine is.
func TestWheelsAreForTheTarget(t *testing.T) {
	wheels := t.TempDir()
	for _, tag := range []string{"cp311-cp311-manylinux2014_x86_64", "cp311-cp311-manylinux_2_28_aarch64", "cp312-cp312-manylinux_2_17_x86_64", "cp311-cp311-musllinux_1_1_x86_64", "cp311-cp311-macosx_11_0_arm64"} {
		wheel(t, wheels, "demo", tag, "Requires-Dist: onarm; platform_machine == 'aarch64'\nRequires-Dist: on312; python_version >= '3.12'\nRequires-Dist: onmac; sys_platform == 'darwin'\n")
	}
	for _, name := range []string{"onarm", "on312", "onmac"} {
		wheel(t, wheels, name, "py3-none-any", "")
	}
	alpine := target("amd64", "3.11")
	alpine.BaseRef = "python:3.11-alpine"
	for _, tt := range []struct {
		target lang.Target
		tag    string
		more   []string
	}{
		{target("amd64", "3.11"), "cp311-cp311-manylinux2014_x86_64", nil},
		{target("arm64", "3.11"), "cp311-cp311-manylinux_2_28_aarch64", []string{"onarm"}},
		{target("amd64", "3.12"), "cp312-cp312-manylinux_2_17_x86_64", []string{"on312"}},
		{alpine, "cp311-cp311-musllinux_1_1_x86_64", nil},
	} {
		got, said, err := installed(t, wheels, "demo==1.0\n", tt.target)
		if err != nil {
			t.Fatal(err)
		}
		if want := "tag = '" + tt.tag + "'\n"; got["dependencies/demo/__init__.py"] != want {
			t.Errorf("%s: %q", tt.tag, got["dependencies/demo/__init__.py"])
		}
		var more []string
		for _, name := range []string{"onarm", "on312", "onmac"} {
			if _, ok := got["dependencies/"+name+"/__init__.py"]; ok {
				more = append(more, name)
			}
		}
		if !slices.Equal(more, tt.more) {
			t.Errorf("%s: brings %v, want %v", tt.tag, more, tt.more)
		}
		if len(said.Texts(progresstest.Warn)) > 0 {
			t.Errorf("%s: %v", tt.tag, said.Texts(progresstest.Warn))
		}
		if script := got["dependencies/bin/demo"]; !strings.HasPrefix(script, "#!/usr/bin/env python3\n") {
			t.Errorf("script: %q", script)
		}
		record := got["dependencies/demo-1.0.dist-info/RECORD"]
		if strings.Contains(record, "..") || strings.Contains(record, ".pyc") || !strings.Contains(record, "demo/__init__.py,") {
			t.Errorf("RECORD:\n%s", record)
		}
		for name := range got {
			if strings.HasSuffix(name, ".pyc") || strings.HasSuffix(name, "direct_url.json") {
				t.Errorf("in the layer: %s", name)
			}
		}
	}
}

func TestWhatHasNoWheelIsNamed(t *testing.T) {
	wheels := t.TempDir()
	wheel(t, wheels, "demo", "cp311-cp311-manylinux2014_x86_64", "Requires-Dist: native\n")
	if err := os.WriteFile(filepath.Join(wheels, "native-1.0.tar.gz"), []byte("never opened"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := installed(t, wheels, "demo\n", target("amd64", "3.11"))
	if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "native has no wheel for Python 3.11 on linux/amd64") || !strings.Contains(fault.HintOf(err), "pip wheel 'native'") {
		t.Errorf("%v", err)
	}
}

func TestDependencyKey(t *testing.T) {
	key := func(requirements, arch, version string) string {
		p, _ := open(t, map[string]string{requirementsFile: requirements, "main.py": ""})
		found, err := inspect(p)
		if err != nil {
			t.Fatal(err)
		}
		l, err := dependencyLayer(p, found, target(arch, version), version)
		if err != nil {
			t.Fatal(err)
		}
		return l.Key
	}
	same := key("a==1\n", "amd64", "3.11")
	if same == "" || same != key("a==1\n", "amd64", "3.11") {
		t.Error("the key of pinned requirements is not the same twice")
	}
	for _, other := range []string{key("a==2\n", "amd64", "3.11"), key("a==1\n", "arm64", "3.11"), key("a==1\n", "amd64", "3.12")} {
		if other == same {
			t.Error("the key does not see a change")
		}
	}
	if key("a>=1\n", "amd64", "3.11") != "" {
		t.Error("open versions have a key")
	}
}

func TestScripts(t *testing.T) {
	body := "import sys\nsys.exit(1)\n"
	for _, head := range []string{"#!/usr/bin/python3.11\n", "#!/home/me/.venv/bin/python -sE\n", "#!/bin/sh\n'''exec' /very/long/python \"$0\" \"$@\"\n' '''\n"} {
		if got, ok := afterInterpreter([]byte(head + body)); !ok || string(got) != body {
			t.Errorf("%q: %q, %v", head, got, ok)
		}
	}
	for _, other := range []string{"#!/bin/sh\necho\n", "\x7fELF", ""} {
		if _, ok := afterInterpreter([]byte(other)); ok {
			t.Errorf("%q is taken for a Python script", other)
		}
	}
}

func TestTargetVersion(t *testing.T) {
	p, said := open(t, nil)
	got, err := targetVersion(context.Background(), p, target("amd64", "3.13"))
	if got != "3.13.1" || err != nil || len(said.Texts(progresstest.Warn)) > 0 {
		t.Errorf("%q, %v, %v", got, err, said.Texts(progresstest.Warn))
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	out, err := exec.Command("python3", "-c", "import platform; print('.'.join(platform.python_version_tuple()[:2]))").Output()
	if err != nil {
		t.Fatal(err)
	}
	to := target("amd64", "x")
	to.BaseConfig.Env = nil
	if got, err = targetVersion(context.Background(), p, to); majorMinor(got) != strings.TrimSpace(string(out)) || err != nil || len(said.Texts(progresstest.Warn)) != 1 {
		t.Errorf("%q, %v, %v", got, err, said.Texts(progresstest.Warn))
	}
}

func TestPlan(t *testing.T) {
	p, _ := open(t, map[string]string{"function/__init__.py": "", "src/x.py": "", "pyproject.toml": ""})
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if got := lang.Lookup(plan.Env, "PYTHONPATH"); got != "/app:/app/src:/dependencies" {
		t.Error(got)
	}
	p.Environ = lang.With(p.Environ, fmt.Sprintf("PATH=%s", t.TempDir()))
	layers, err := Language{}.Layers(context.Background(), p, plan, target("amd64", "3.11"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range layers {
		names = append(names, l.Name)
	}
	if !slices.Equal(names, []string{"server", "application"}) {
		t.Errorf("layers = %v", names)
	}
}
