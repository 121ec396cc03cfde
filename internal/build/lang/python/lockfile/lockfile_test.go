package lockfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func linux(version string) Environment {
	return Environment{Values: map[string]string{
		"python_version": version[:strings.LastIndex(version, ".")], "python_full_version": version, "os_name": "posix", "sys_platform": "linux",
		"platform_system": "Linux", "platform_machine": "x86_64", "platform_release": "", "platform_version": "",
		"implementation_name": "cpython", "implementation_version": version, "platform_python_implementation": "CPython",
	}}
}

func TestMarkers(t *testing.T) {
	e := linux("3.11.4")
	e.Extras, e.Groups = []string{"Web_UI"}, []string{"prod"}
	for marker, want := range map[string]bool{
		"": true, "sys_platform == 'linux'": true, "sys_platform != \"linux\"": false, "sys_platform == 'win32' or os_name == 'posix'": true,
		"python_version >= '3.9' and python_version < '4'": true, "python_version < '3.10'": false, "python_version > '3.9'": true, "'3.9' < python_version": true,
		"python_full_version == '3.11.*'": true, "python_full_version ~= '3.11.2'": true, "python_full_version ~= '3.12.0'": false, "python_full_version < '3.11.4rc1'": false,
		"python_version in '3.10 3.11'": true, "python_version not in '3.10, 3.11'": false, "(python_version < '3' or os_name == 'posix') and sys_platform == 'linux'": true,
		"extra == 'web-ui'": true, "extra == 'docs'": false, "extra != 'docs'": true, "'docs' in extras": false, "'prod' in dependency_groups": true,
		"platform_machine == 'x86_64' and implementation_name == 'cpython'": true, "platform_python_implementation != 'PyPy'": true,
		"sys.platform == 'linux' and python_implementation == 'CPython'": true, "platform_release >= '20'": false,
	} {
		if got, err := e.Matches(marker); got != want || err != nil {
			t.Errorf("%s: %v, %v", marker, got, err)
		}
	}
	for _, broken := range []string{"python_version >", "(os_name == 'posix'", "os_name == 'posix' and", "colour == 'red'", "os_name posix", "os_name == 'posix' os_name", "os_name == 'posix' ; x", "extra < 'a'"} {
		if _, err := e.Matches(broken); err == nil {
			t.Errorf("%s: no error", broken)
		}
	}
}

func TestVersions(t *testing.T) {
	order := []string{"nonsense", "0.9", "1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.10", "2", "1!0.1"}
	for i, version := range order[1:] {
		if CompareVersions(order[i], version) >= 0 {
			t.Errorf("%s is not before %s", order[i], version)
		}
	}
	for specifiers, want := range map[string]bool{"": true, ">=3.9": true, ">=3.9,<3.11": false, "!=3.11.*": false, "==3.11.4": true, "~=3.9": true, ">3.11.4": false, "<=3.11.4": true} {
		if got, err := Satisfies("3.11.4", specifiers); got != want || err != nil {
			t.Errorf("%s: %v, %v", specifiers, got, err)
		}
	}
	if _, err := Satisfies("3.11.4", "^3.9"); err == nil {
		t.Error("a caret is no specifier")
	}
}

func TestRequiresPoetry(t *testing.T) {
	for constraint, want := range map[string][2]bool{ // on 3.11.4 and on 3.12.0
		"": {true, true}, "*": {true, true}, "^3.9": {true, true}, "^3.12": {false, true}, "^2.7": {false, false}, "^3": {true, true},
		"~3.11": {true, false}, "~3": {true, true}, "~3.11.5": {false, false}, "~=3.11": {true, true}, ">=3.9 <3.12": {true, false},
		">=3.12,<4.0": {false, true}, "3.11.*": {true, false}, "3.12": {false, true}, "=3.11.4": {true, false}, "!=3.11.4": {false, true},
		"^2.7 || ^3.12": {false, true}, "~2.7|>=3.11": {true, true}, ">= 3.12": {false, true}, "nonsense": {true, true},
	} {
		for i, version := range []string{"3.11.4", "3.12.0"} {
			if got := RequiresPoetry(constraint).Allows(version); got != want[i] {
				t.Errorf("%q on %s: %v", constraint, version, got)
			}
		}
	}
}

// uvPackages writes a uv.lock of a project that asks for demo.
func uvPackages(packages ...string) fstest.MapFS {
	text := "version = 1\n[[package]]\nname = \"app\"\nversion = \"0\"\nsource = { editable = \".\" }\ndependencies = [{ name = \"demo\", extra = [\"fast\"] }]\n"
	for _, p := range packages {
		text += "[[package]]\nversion = \"1.0\"\n" + p + "\n"
	}
	return fstest.MapFS{"uv.lock": {Data: []byte(text)}}
}

// What an image cannot honour is refused by name, and not taken from elsewhere.
func TestRefusals(t *testing.T) {
	demo := func(source string) fstest.MapFS { return uvPackages("name = \"demo\"\nsource = " + source) }
	poetry := func(source string) fstest.MapFS {
		return fstest.MapFS{"poetry.lock": {Data: []byte("[[package]]\nname = \"demo\"\nversion = \"1.0\"\noptional = false\ngroups = [\"main\"]\nfiles = []\n[package.source]\n" + source)}}
	}
	tests := []struct {
		name  string
		files fstest.MapFS
		says  string
	}{
		{"git", demo(`{ git = "https://me:canary@example.com/demo.git?rev=1#2" }`), "demo comes from the repository https://example.com/demo.git?rev=1#2 (git), which holds no wheel"},
		{"folder outside", demo(`{ editable = "../demo" }`), "demo is the folder ../demo, which is outside of the project"},
		{"absolute folder", demo(`{ directory = "/home/me/demo" }`), "outside of the project"},
		{"source archive", demo(`{ url = "https://example.com/demo-1.0.tar.gz" }`), "demo is the archive https://example.com/demo-1.0.tar.gz, and only wheels"},
		{"wheels outside", demo(`{ registry = "../wheels" }`), "comes from the folder ../wheels"},
		{"not held", uvPackages(), "it asks for demo and does not hold it"},
		{"a dependency's source", uvPackages("name = \"demo\"\nsource = { registry = \"https://pypi.org/simple\" }\ndependencies = [{ name = \"leaf\" }]", "name = \"leaf\"\nsource = { git = \"https://x\" }"), "leaf comes from the repository"},
		{"an extra's source", uvPackages("name = \"demo\"\nsource = { registry = \"https://pypi.org/simple\" }\noptional-dependencies = { fast = [{ name = \"leaf\" }] }", "name = \"leaf\"\nsource = { git = \"https://x\" }"), "leaf comes from the repository"},
		{"two that count", uvPackages("name = \"demo\"\nsource = { registry = \"https://a\" }", "name = \"demo\"\nsource = { registry = \"https://b\" }"), "it holds demo in the versions 1.0 and does not say which"},
		{"a later format", fstest.MapFS{"uv.lock": {Data: []byte("version = 2\n")}}, "version 2 of this file is not known"},
		{"workspace", fstest.MapFS{"uv.lock": {Data: []byte("version = 1\n[[package]]\nname = \"lib\"\nsource = { editable = \"lib\" }\n")}}, "a workspace whose root is no application"},
		{"broken", fstest.MapFS{"uv.lock": {Data: []byte("version = 1\n[[package\n")}}, "uv.lock:2:"},
		{"out of date", fstest.MapFS{"uv.lock": uvPackages()["uv.lock"], "pyproject.toml": {Data: []byte("[project]\ndependencies = [\"New_one>=1\"]\n")}}, "it lacks new-one, which pyproject.toml asks for"},
		{"poetry git", poetry("type = \"git\"\nurl = \"git@example.com:demo\"\n"), "demo comes from the repository"},
		{"poetry folder", poetry("type = \"directory\"\nurl = \"../demo\"\n"), "outside of the project"},
		{"poetry file", poetry("type = \"file\"\nurl = \"demo.tar.gz\"\n"), "only wheels"},
		{"old poetry", fstest.MapFS{"poetry.lock": {Data: []byte("[[package]]\nname = \"demo\"\nversion = \"1.0\"\n")}}, "before 1.3"},
		{"pdm without groups", fstest.MapFS{"pdm.lock": {Data: []byte("[[package]]\nname = \"demo\"\nversion = \"1.0\"\n")}}, "which packages the application needs"},
		{"pdm without checksums", fstest.MapFS{"pdm.lock": {Data: []byte("[metadata]\nstrategy = [\"inherit_metadata\"]\n[[package]]\nname = \"demo\"\nversion = \"1.0\"\ngroups = [\"default\"]\n")}}, "demo has no checksums"},
		{"pylock repository", fstest.MapFS{"pylock.toml": {Data: []byte("lock-version = \"1.0\"\n[[packages]]\nname = \"demo\"\nvcs = { type = \"git\", url = \"https://x\" }\n")}}, "demo comes from the repository https://x (git)"},
		{"pylock of the future", fstest.MapFS{"pylock.toml": {Data: []byte("lock-version = \"2.0\"\n")}}, "version \"2.0\""},
		{"Pipfile repository", fstest.MapFS{"Pipfile.lock": {Data: []byte(`{"default":{"demo":{"git":"https://x"}}}`)}}, "demo comes from the repository"},
		{"Pipfile for another Python", fstest.MapFS{"Pipfile.lock": {Data: []byte(`{"_meta":{"requires":{"python_version":"3.12"}},"default":{}}`)}}, "it is for Python ==3.12.*, and the base image has 3.11.4"},
	}
	for _, tt := range tests {
		m, err := ReadManifest(tt.files)
		if err != nil {
			t.Fatal(err)
		}
		lock, err := Read(tt.files, m, func(string) {})
		if err == nil {
			_, err = lock.Select(linux("3.11.4"))
		}
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fmt.Sprint(err), tt.says) || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestSelect(t *testing.T) {
	registry := "source = { registry = \"https://pypi.org/simple\" }\n"
	files := uvPackages(
		"name = \"demo\"\n"+registry+"dependencies = [{ name = \"split\", version = \"2\", marker = \"python_version >= '3.12'\" }, { name = \"split\", version = \"1.0\", marker = \"python_version < '3.12'\" }, { name = \"lib\" }]\noptional-dependencies = { fast = [{ name = \"loop\" }], slow = [{ name = \"never\" }] }",
		"name = \"split\"\n"+registry,
		"name = \"loop\"\n"+registry+"dependencies = [{ name = \"demo\" }]",
		"name = \"never\"\n"+registry,
		"name = \"tester\"\n"+registry,
		"name = \"lib\"\nsource = { editable = \"packages/lib\" }\ndependencies = [{ name = \"sub\" }]",
		"name = \"sub\"\nsource = { registry = \"https://corp.example/simple\" }",
	)
	files["uv.lock"].Data = append(files["uv.lock"].Data, "[[package]]\nname = \"split\"\nversion = \"2\"\n"+registry...)
	lock, err := Read(files, &Manifest{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	for version, split := range map[string]string{"3.11.1": "split 1.0", "3.12.0": "split 2"} {
		packages, err := lock.Select(linux(version))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range packages {
			got = append(got, strings.TrimSpace(p.Name+" "+p.Version+" "+p.Index))
		}
		if want := []string{"demo 1.0", "loop 1.0", split, "sub 1.0 https://corp.example/simple"}; !slices.Equal(got, want) {
			t.Errorf("%s: %v", version, got)
		}
	}
	if got := lock.Folders(); !slices.Equal(got, []string{"packages/lib"}) {
		t.Errorf("folders = %v", got)
	}
	if slices.Contains(lock.PackageNames(), "tester") {
		t.Error("what only development needs is among the packages")
	}
}

// Before Poetry 2, a lock did not say what the application needs: its manifest does.
func TestOldPoetry(t *testing.T) {
	files := fstest.MapFS{
		"pyproject.toml": {Data: []byte("[tool.poetry.dependencies]\npython = \"^3.9\"\ndemo = {version = \"^1\", extras = [\"fast\"]}\nwindows = {version = \"1\", platform = \"win32\"}\noptional = {version = \"1\", optional = true}\n[tool.poetry.group.dev.dependencies]\ntester = \"*\"\n")},
		"poetry.lock": {Data: []byte(`[[package]]
name = "demo"
version = "1.0"
python-versions = ">=3.7"
files = [ {file = "demo.whl", hash = "sha256:00"} ]
[package.dependencies]
loop = {version = "*", optional = true, markers = "extra == \"fast\""}
slow = {version = "*", optional = true, markers = "extra == \"slow\""}
[[package]]
name = "loop"
version = "1.0"
files = []
[[package]]
name = "windows"
version = "1.0"
files = []
[[package]]
name = "tester"
version = "1.0"
files = []
`)},
	}
	m, err := ReadManifest(files)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := Read(files, m, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	packages, err := lock.Select(linux("3.11.1"))
	if err != nil || len(packages) != 2 || packages[0].Name != "demo" || packages[1].Name != "loop" {
		t.Errorf("%+v, %v", packages, err)
	}
}

func TestSeveralLocks(t *testing.T) {
	files := uvPackages("name = \"demo\"\nsource = { registry = \"https://pypi.org/simple\" }")
	files["poetry.lock"] = &fstest.MapFile{Data: []byte("[metadata]\n")}
	var said []string
	lock, err := Read(files, &Manifest{}, func(text string) { said = append(said, text) })
	if err != nil || lock.File != "uv.lock" || len(said) != 1 || !strings.Contains(said[0], "poetry.lock is not used") {
		t.Errorf("%v, %v, %v", lock.File, said, err)
	}
	if lock, err := Read(fstest.MapFS{}, &Manifest{}, nil); lock != nil || err != nil {
		t.Errorf("%v, %v", lock, err)
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"https://me:p@ss@host/x": "https://host/x", "https://token@host": "https://host", "https://host/a@b": "https://host/a@b", "../x": "../x",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
