//go:build e2e

package robust

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// project is what is built; WORD in its source is what edits change.
type project struct {
	language, source string
	files            map[string]string
	slow             bool // at full size only
}

func projects() []project {
	return []project{
		{
			language: "go", source: "main.go",
			files: map[string]string{
				"go.mod":  "module example.com/app\n\ngo 1.21\n",
				"main.go": "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"WORD\") }\n",
			},
		},
		{
			language: "node", source: "index.js",
			files: map[string]string{
				"package.json":      `{"name":"app","version":"1.0.0","scripts":{"start":"node index.js"},"dependencies":{"words":"file:words"}}`,
				"package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{"words":"file:words"}},"node_modules/words":{"resolved":"words","link":true},"words":{"version":"1.0.0"}}}`,
				"index.js":          "console.log('WORD')\n", "words/package.json": `{"name":"words","version":"1.0.0"}`, "words/index.js": "module.exports = 1\n",
			},
		},
		{
			language: "python", source: "main.py",
			files: map[string]string{"main.py": "print('WORD')\n", "requirements.txt": "--no-index\n--find-links ./wheels\nwords==1.0\n"},
		},
		{
			language: "typescript", source: "src/index.ts", slow: true,
			files: map[string]string{
				"package.json":      `{"name":"app","version":"1.0.0","scripts":{"build":"mkdir -p dist && cp src/index.ts dist/index.js","start":"node dist/index.js"}}`,
				"package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0"}}}`,
				"tsconfig.json":     "{}", "src/index.ts": "console.log('WORD')\n",
			},
		},
		{
			language: "rust", source: "src/main.rs", slow: true,
			files: map[string]string{
				"Cargo.toml":  "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
				"Cargo.lock":  "version = 3\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n",
				"src/main.rs": "fn main() { println!(\"WORD\"); }\n",
			},
		},
	}
}

func (p project) write(t *testing.T, dir string) {
	t.Helper()
	for name, text := range p.files {
		put(t, filepath.Join(dir, name), strings.ReplaceAll(text, "WORD", "first"))
	}
	put(t, filepath.Join(dir, "func.yaml"), "specVersion: 0.36.0\nname: app\nruntime: "+p.language+"\n")
	if p.language == "python" {
		wheel(t, filepath.Join(dir, "wheels", "words-1.0-py3-none-any.whl"))
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wheel writes the package words 1.0.
func wheel(t *testing.T, file string) {
	t.Helper()
	put(t, file, "")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	z := zip.NewWriter(out)
	for _, member := range [][2]string{
		{"words.py", "WORD = 1\n"},
		{"words-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: words\nVersion: 1.0\n"},
		{"words-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"words-1.0.dist-info/RECORD", "words.py,,\nwords-1.0.dist-info/METADATA,,\nwords-1.0.dist-info/WHEEL,,\nwords-1.0.dist-info/RECORD,,\n"},
	} {
		w, err := z.Create(member[0])
		if err == nil {
			_, err = w.Write([]byte(member[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
