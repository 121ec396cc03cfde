package python

import (
	"context"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// A base whose Python a project excludes is refused by name before pip runs.
func TestRequiredPython(t *testing.T) {
	tests := []struct {
		name    string
		files   map[string]string
		subject string // of the refusal; "" when there is none
		says    string
	}{
		{"none", map[string]string{projectFile: "[project]\nname = \"a\"\n"}, "", ""},
		{"allowed", map[string]string{projectFile: "[project]\nrequires-python = \">=3.9, <4\"\n"}, "", ""},
		{"newer", map[string]string{projectFile: "[project]\nrequires-python = \">=3.12\"\n"}, projectFile, `requires-python is ">=3.12", and python:3.11 has Python 3.11.1`},
		{"older", map[string]string{projectFile: "[project]\nrequires-python = \"<3.11\"\n"}, projectFile, "has Python 3.11.1"},
		{"one series", map[string]string{projectFile: "[project]\nrequires-python = \"==3.12.*\"\n"}, projectFile, "==3.12.*"},
		{"nonsense", map[string]string{projectFile: "[project]\nrequires-python = \"three\"\n"}, "", ""},
		{"caret", map[string]string{projectFile: "[tool.poetry.dependencies]\npython = \"^3.12\"\n"}, projectFile, `python in [tool.poetry.dependencies] is "^3.12"`},
		{"caret that allows", map[string]string{projectFile: "[tool.poetry.dependencies]\npython = \"^3.9\"\n"}, "", ""},
		{"poetry 2 keeps both", map[string]string{projectFile: "[project]\nrequires-python = \">=3.9\"\n[tool.poetry.dependencies]\npython = \">=3.12,<4.0\"\n"}, projectFile, ">=3.12,<4.0"},
		{"lock of uv", map[string]string{projectFile: "[project]\nname = \"a\"\n", "uv.lock": "version = 1\nrequires-python = \">=3.13\"\n[[package]]\nname = \"a\"\nversion = \"0\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"b\" }]\n[[package]]\nname = \"b\"\nversion = \"1\"\n"}, "uv.lock", "Python >=3.13"},
		{"lock of poetry", map[string]string{projectFile: "[tool.poetry.dependencies]\nb = \"*\"\n", "poetry.lock": "[[package]]\nname = \"b\"\nversion = \"1\"\nfiles = [{ file = \"b.whl\", hash = \"sha256:00\" }]\n[metadata]\npython-versions = \"^3.12\"\n"}, "poetry.lock", "Python ^3.12"},
		{"setup.cfg", map[string]string{"setup.cfg": "[options]\npython_requires = >=3.12\n", "setup.py": "from setuptools import setup\nsetup()\n"}, "setup.cfg", "python_requires"},
		{"setup.py", map[string]string{"setup.py": "from setuptools import setup\nsetup(\n    name='a',\n    python_requires='>=3.12',\n)\n"}, "setup.py", `">=3.12"`},
		{"setup.py that works it out", map[string]string{"setup.py": "setup(python_requires=wanted)\n"}, "", ""},
	}
	for _, tt := range tests {
		tt.files["main.py"] = "print(1)\n"
		p, _ := open(t, tt.files)
		plan, err := Language{}.Plan(context.Background(), p)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_, err = Language{}.Layers(context.Background(), p, plan, target("amd64", "3.11"))
		if tt.subject == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" || !strings.Contains(err.Error(), tt.subject) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
