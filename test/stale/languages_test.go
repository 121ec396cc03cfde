//go:build e2e

package stale

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// language is a project whose image shows all that its build sees, and what can
// be changed about it.
type language struct {
	name, tool string
	slow       bool
	files      map[string]string
	before     func(s *state)
	changes    func() []change
	without    map[string]bool // kinds of the common ones that do not apply
}

func languages() []language {
	return []language{golang(), node(), python(), typescript(), rust(), java()}
}

// buildEnv names a variable in func.yaml.
func buildEnv(name, value string) change {
	return change{"a variable that func.yaml names", differs, func(s *state) {
		at := "app/func.yaml"
		raw, err := os.ReadFile(filepath.Join(s.top, at))
		if err != nil {
			s.t.Fatal(err)
		}
		s.write(at, string(raw)+"build:\n  buildEnvs:\n    - name: "+name+"\n      value: '{{ env:FROM_THE_MACHINE }}'\n")
		s.variable["FROM_THE_MACHINE"] = value
	}, false}
}

// namedAgain is the same variable with another value, which func.yaml takes from
// the machine.
func namedAgain(value string) change {
	return change{"the value of a variable that func.yaml names", differs, func(s *state) { s.variable["FROM_THE_MACHINE"] = value }, false}
}

func edit(kind, name, old, new string) change {
	return change{kind, differs, func(s *state) { s.replace(name, old, new) }, false}
}

func addFile(kind, name, text string) change {
	return change{kind, differs, func(s *state) { s.write(name, text) }, false}
}

func removeFile(kind, name string) change {
	return change{kind, differs, func(s *state) {
		if err := os.Remove(filepath.Join(s.top, name)); err != nil {
			s.t.Fatal(err)
		}
	}, false}
}

func setVariable(kind, name, value string) change {
	return change{kind, differs, func(s *state) { s.variable[name] = value }, false}
}

// executable is a bit of the file system that gets into images of scripts.
func executable(does effect, name string) change {
	return change{"the bit of an executable", does, func(s *state) {
		if err := os.Chmod(filepath.Join(s.top, name), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}, true}
}

// wrapTool puts a program before the tool of its name; script runs as a shell's,
// with the real one in $REAL.
func wrapTool(kind, name, script string) change {
	return change{kind, seen, func(s *state) {
		real, err := exec.LookPath(name)
		if err != nil {
			s.t.Fatal(err)
		}
		dir := s.t.TempDir()
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte("#!/bin/sh\nREAL="+real+"\n"+script+"\n"), 0o755); err != nil {
			s.t.Fatal(err)
		}
		s.variable["PATH"] = dir + string(filepath.ListSeparator) + s.variable["PATH"]
	}, true}
}

func link(kind, name, target, text string) change {
	return change{kind, differs, func(s *state) {
		s.write(target, text)
		at := filepath.Join(s.top, name)
		if err := os.Remove(at); err != nil {
			s.t.Fatal(err)
		}
		to, err := filepath.Rel(filepath.Dir(at), filepath.Join(s.top, target))
		if err != nil {
			s.t.Fatal(err)
		}
		if err := os.Symlink(to, at); err != nil {
			s.t.Fatal(err)
		}
	}, false}
}

func golang() language {
	const main = "package main\n\nimport (\n\t\"embed\"\n\n\t\"example.com/lib\"\n)\n\n//go:embed data\nvar data embed.FS\n\nvar version = \"none\"\n\nfunc main() {\n\tentries, _ := data.ReadDir(\"data\")\n\tprintln(version, stage, linked, lib.Word, len(entries))\n}\n"
	return language{
		name: "go", tool: "go",
		files: map[string]string{
			"app/go.mod":  "module example.com/app\n\ngo 1.21\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n",
			"app/main.go": main, "app/stage.go": "//go:build !prod\n\npackage main\n\nconst stage = \"dev\"\n", "app/prod.go": "//go:build prod\n\npackage main\n\nconst stage = \"prod\"\n",
			"app/linked.go": "package main\n\nconst linked = 1\n", "app/data/a.txt": "a", "app/data/b.txt": "b",
			"lib/go.mod": "module example.com/lib\n\ngo 1.21\n", "lib/lib.go": "package lib\n\nconst Word = \"one\"\n",
		},
		changes: func() []change {
			return []change{
				edit("a source", "app/main.go", `"none"`, `"some"`),
				addFile("a file more", "app/data/c.txt", "c"),
				removeFile("a file less", "app/data/b.txt"),
				executable(seen, "app/data/a.txt"),
				edit("a module outside of the folder", "lib/lib.go", `"one"`, `"two"`),
				link("a link to a file outside", "app/linked.go", "shared/linked.go", "package main\n\nconst linked = 2\n"),
				edit("what a link leads to", "shared/linked.go", "= 2", "= 3"),
				edit("the manifest", "app/go.mod", "go 1.21", "go 1.22"),
				addFile("a workspace", "go.work", "go 1.22\n\nuse ./app\nuse ./lib\n\ngodebug http2client=0\n"),
				{"settings of the user", differs, func(s *state) { s.write(filepath.Join(s.home, ".config/go/env"), "GOAMD64=v2\n") }, false},
				setVariable("a variable of the tool", "GOAMD64", "v3"),
				{"flags of the tool", differs, func(s *state) { s.variable["GOFLAGS"] = "-tags=prod" }, false},
				buildEnv("GOFLAGS", `"-ldflags=-X main.version=1"`),
				namedAgain(`"-ldflags=-X main.version=2"`),
				wrapTool("the tool's version", "go", `if [ "$1 $2" = "env GOVERSION" ]; then echo go1.99; exit; fi; exec "$REAL" "$@"`),
				addFile("a vendor folder's list", "app/vendor/modules.txt", "# example.com/lib v0.0.0 => ../lib\n## explicit; go 1.21\nexample.com/lib\n# example.com/lib => ../lib\n"),
			}[:15]
		},
	}
}

func node() language {
	return language{
		name: "node", tool: "npm",
		files: map[string]string{
			"app/package.json": `{"name":"app","version":"1.0.0","scripts":{"start":"node index.js"},"dependencies":{"a":"file:vendor/a.tgz"}}`,
			"app/index.js":     "1", "app/lib/a.js": "2", "app/lib/b.js": "3",
			"app/public/index.html": "x",
		},
		before: func(s *state) {
			s.replace("app/package.json", `,"dependencies":{"a":"file:vendor/a.tgz"}`, "")
			s.write("app/package-lock.json", `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0"}}}`)
		},
		changes: func() []change {
			return append(files("app/index.js", "1", "11", "app/lib/c.js", "app/public/index.html"),
				edit("the manifest", "app/package.json", "1.0.0", "1.0.1"),
				edit("the lock file", "app/package-lock.json", "1.0.0", "1.0.1"),
				addFile("what stays out", "app/.funcignore", "lib/b.js\n"),
				change{"a variable that func.yaml names", seen, buildEnv("STAGE", "one").make, false},
				change{"the value of a variable that func.yaml names", seen, namedAgain("two").make, false},
				change{"a variable of the tool", seen, setVariable("", "npm_config_omit", "optional").make, false},
				change{"settings of the user", seen, func(s *state) { s.write(filepath.Join(s.home, ".npmrc"), "legacy-peer-deps=true\n") }, false},
				change{"settings of the project", seen, func(s *state) { s.write("app/.npmrc", "engine-strict=true\n") }, false},
				change{"where packages come from", none, func(s *state) { s.variable["npm_config_cache"] = s.t.TempDir() }, false},
				link("a link", "app/lib/a.js", "app/public/real.js", "4"),
				edit("what a link leads to", "app/public/real.js", "4", "5"),
			)
		},
	}
}

// files are the kinds of changes to files of a project whose image has them all.
func files(source, old, new, other, another string) []change {
	return []change{
		edit("a source", source, old, new), addFile("a file more", other, "x"), removeFile("a file less", another), executable(differs, source),
	}
}

func python() language {
	return language{
		name: "python", tool: "python3",
		files: map[string]string{"app/main.py": "print(1)\n", "app/lib/a.py": "2", "app/lib/b.py": "3", "app/lib/d.py": "4", "app/requirements.txt": "--no-index\n--find-links WHEELS\nwords==1.0\n"},
		before: func(s *state) {
			s.write("wheels/x", "")
			wheel(s, "wheels", "one")
			wheel(s, "other", "two")
			s.write("app/requirements.txt", "words==1.0\n")
			s.variable["PIP_NO_INDEX"] = "1"
			s.write(filepath.Join(s.home, ".config/pip/pip.conf"), "[global]\nfind-links = "+filepath.Join(s.top, "wheels")+"\n")
		},
		changes: func() []change {
			return append(files("app/main.py", "1", "11", "app/lib/c.py", "app/lib/d.py"),
				// The same version from another place, with other content.
				change{"settings of the user", differs, func(s *state) {
					s.write(filepath.Join(s.home, ".config/pip/pip.conf"), "[global]\nfind-links = "+filepath.Join(s.top, "other")+"\n")
				}, false},
				change{"a variable of the tool", differs, func(s *state) { s.variable["PIP_FIND_LINKS"] = filepath.Join(s.top, "wheels") }, false},
				edit("the requirements", "app/requirements.txt", "1.0", "1.0.0"),
				addFile("a second manifest", "app/pyproject.toml", "[project]\nname = \"app\"\nversion = \"1\"\ndependencies = []\n"),
				addFile("what stays out", "app/.funcignore", "lib/b.py\n"),
				change{"a variable that func.yaml names", seen, buildEnv("STAGE", "one").make, false},
				change{"the value of a variable that func.yaml names", seen, namedAgain("two").make, false},
				change{"where packages are cached", none, func(s *state) { s.variable["PIP_CACHE_DIR"] = s.t.TempDir() }, false},
				link("a link", "app/lib/a.py", "app/real.py", "4"),
				edit("what a link leads to", "app/real.py", "4", "5"),
				wrapTool("the tool's version", "python3", `case "$*" in *pip.__version__*) echo 3.99.0 99.0; exit;; esac; exec "$REAL" "$@"`),
			)
		},
	}
}

// wheel writes words 1.0 with a word in it.
func wheel(s *state, dir, word string) {
	s.t.Helper()
	s.write(dir+"/make.py", `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("words.py", "WORD = '`+word+`'\n")
    z.writestr("words-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: words\nVersion: 1.0\n")
    z.writestr("words-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr("words-1.0.dist-info/RECORD", "words.py,,\nwords-1.0.dist-info/METADATA,,\nwords-1.0.dist-info/WHEEL,,\nwords-1.0.dist-info/RECORD,,\n")
`)
	cmd := exec.Command("python3", "make.py", "words-1.0-py3-none-any.whl")
	cmd.Dir = filepath.Join(s.top, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
}

func typescript() language {
	const script = `import fs from "node:fs"
const read = (name) => fs.existsSync(name) ? fs.readFileSync(name, "utf8") : "none"
fs.mkdirSync("dist", { recursive: true })
fs.writeFileSync("dist/seen.json", JSON.stringify({ url: process.env.PUBLIC_API_URL ?? "none", unnamed: process.env.STAGE ?? "none", zone: process.env.TZ, ci: process.env.CI ?? "none",
  user: process.env.USER ?? "none", flavour: process.env.npm_config_flavour ?? "none", data: read("data.txt"), more: read("more.txt"), config: read("tsconfig.json"), options: process.execArgv.join(), node: process.env.NODE_OPTIONS ?? "none" }))
`
	return language{
		name: "typescript", tool: "npm",
		files: map[string]string{
			"app/package.json":      `{"name":"app","version":"1.0.0","scripts":{"build":"node build.mjs","start":"node dist/index.js"}}`,
			"app/package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{"":{"name":"app","version":"1.0.0"}}}`,
			"app/tsconfig.json":     "{}", "app/build.mjs": script, "app/data.txt": "one", "app/src/index.ts": "1", "app/src/less.ts": "1", "app/dist/index.js": "1",
		},
		changes: func() []change {
			return []change{
				edit("a source", "app/data.txt", "one", "two"),
				edit("the build script", "app/build.mjs", "none", "nothing"),
				addFile("a file more", "app/more.txt", "more"),
				removeFile("a file less", "app/src/less.ts"),
				edit("the compiler's settings", "app/tsconfig.json", "{}", "{ }"),
				edit("the manifest", "app/package.json", "1.0.0", "1.0.1"),
				edit("the lock file", "app/package-lock.json", "1.0.0", "1.0.1"),
				addFile("what stays out", "app/.funcignore", "src\n"),
				buildEnv("PUBLIC_API_URL", "https://staging.example"),
				namedAgain("https://production.example"),
				setVariable("a variable of the tool", "NODE_OPTIONS", "--no-deprecation"),
				{"settings of the user", differs, func(s *state) { s.write(filepath.Join(s.home, ".npmrc"), "flavour=sweet\n") }, false},
				{"settings of the project", differs, func(s *state) { s.write("app/.npmrc", "flavour=sour\n") }, false},
				{"the unnamed variable again", none, func(s *state) { s.variable["STAGE"] = "other" }, false},
				wrapTool("the tool's version", "node", `if [ "$1" = --version ]; then echo v99.0.0; exit; fi; exec "$REAL" "$@"`),
			}
		},
	}
}

func rust() language {
	const main = "mod linked;\nconst SEEN: &str = concat!(include_str!(\"../data.txt\"), include_str!(\"../../outside.txt\"), env!(\"FROM_SCRIPT\"));\n\nfn main() {\n    println!(\"{} {} {:?} {}\", SEEN, linked::WORD, option_env!(\"PUBLIC_API_URL\"), words::WORD);\n}\n"
	const script = "fn main() {\n    let shared = std::fs::read_to_string(\"../shared/data.txt\").unwrap();\n    let stage = std::env::var(\"STAGE\").unwrap_or(\"none\".into());\n    let named = std::env::var(\"PUBLIC_API_URL\").unwrap_or(\"none\".into());\n    println!(\"cargo:rustc-env=FROM_SCRIPT={}{}{}\", shared.trim(), stage, named);\n    println!(\"cargo:rerun-if-changed=build.rs\");\n}\n"
	return language{
		name: "rust", tool: "cargo", slow: true,
		without: map[string]bool{"another platform": true}, // its library need not be there
		files: map[string]string{
			"Cargo.toml":      "[workspace]\nmembers = [\"app\", \"words\"]\nresolver = \"2\"\n",
			"Cargo.lock":      "version = 3\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"words\",\n]\n\n[[package]]\nname = \"words\"\nversion = \"0.1.0\"\n",
			"app/Cargo.toml":  "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\nwords = { path = \"../words\" }\n",
			"app/src/main.rs": main, "app/src/linked.rs": "pub const WORD: &str = \"a\";\n", "app/build.rs": script, "app/data.txt": "one", "outside.txt": "one", "shared/data.txt": "one",
			"words/Cargo.toml": "[package]\nname = \"words\"\nversion = \"0.1.0\"\nedition = \"2021\"\n", "words/src/lib.rs": "pub const WORD: &str = \"one\";\n",
		},
		changes: func() []change {
			slow := func(c change) change { c.slow = true; return c }
			return []change{
				edit("a source", "app/src/linked.rs", `"a"`, `"b"`),
				edit("an included file", "app/data.txt", "one", "two"),
				edit("an included file outside of the package", "outside.txt", "one", "two"),
				edit("a file that the build script reads outside of the package", "shared/data.txt", "one", "two"),
				slow(edit("another member of the workspace", "words/src/lib.rs", `"one"`, `"two"`)),
				buildEnv("PUBLIC_API_URL", "https://staging.example"),
				namedAgain("https://production.example"),
				slow(change{"a variable of the tool", seen, setVariable("", "RUSTFLAGS", "-C debug-assertions=on").make, false}),
				slow(change{"settings of the user", differs, func(s *state) {
					s.write(filepath.Join(s.variable["CARGO_HOME"], "config.toml"), "[profile.release]\nopt-level = 1\n")
				}, false}),
				slow(addFile("settings above the folder", ".cargo/config.toml", "[profile.release]\nopt-level = 2\n")),
				slow(change{"the lock file", seen, edit("", "Cargo.lock", "version = 3", "version = 4").make, false}),
				slow(change{"the manifest", seen, func(s *state) {
					s.replace("app/Cargo.toml", "0.1.0", "0.1.1")
					s.replace("Cargo.lock", "name = \"app\"\nversion = \"0.1.0\"", "name = \"app\"\nversion = \"0.1.1\"")
				}, false}),
				slow(link("a link to a file outside", "app/src/linked.rs", "other/linked.rs", "pub const WORD: &str = \"c\";\n")),
				wrapTool("the tool's version", "rustc", `case "$*" in "--version --verbose") "$REAL" "$@" | sed 's/^rustc 1/rustc 9/'; exit;; esac; exec "$REAL" "$@"`),
			}
		},
	}
}

func java() language {
	pom := strings.NewReplacer("VERSION", "1.0").Replace(`<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>g</groupId><artifactId>app</artifactId><version>VERSION</version>
  <properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding><flavour>none</flavour></properties>
  <build>
    <resources><resource><directory>src/main/resources</directory><filtering>true</filtering></resource></resources>
    <plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-jar-plugin</artifactId><version>3.4.1</version><configuration><archive><manifest><mainClass>a.Main</mainClass></manifest></archive></configuration></plugin></plugins>
  </build>
</project>
`)
	return language{
		name: "java", tool: "mvn", slow: true,
		files: map[string]string{
			"app/pom.xml": pom, "app/src/main/java/a/Main.java": "package a;\n\npublic class Main {\n  public static void main(String[] args) {\n    System.out.println(\"one\");\n  }\n}\n",
			"app/src/main/resources/seen.txt": "${env.PUBLIC_API_URL} ${env.STAGE} ${flavour} ${env.USER} ${java.version}\n", "app/src/main/resources/less.txt": "less",
		},
		changes: func() []change {
			slow := func(c change) change { c.slow = true; return c }
			settings := func(flavour string) string {
				return "<settings><profiles><profile><id>p</id><properties><flavour>" + flavour + "</flavour></properties></profile></profiles><activeProfiles><activeProfile>p</activeProfile></activeProfiles></settings>"
			}
			return []change{
				edit("a source", "app/src/main/java/a/Main.java", "one", "two"),
				slow(addFile("a file more", "app/src/main/resources/more.txt", "more")),
				slow(removeFile("a file less", "app/src/main/resources/less.txt")),
				buildEnv("PUBLIC_API_URL", "https://staging.example"),
				namedAgain("https://production.example"),
				slow(edit("the manifest", "app/pom.xml", "<version>1.0", "<version>1.1")),
				{"settings of the user", differs, func(s *state) {
					s.write(filepath.Join(s.home, ".m2/settings.xml"), settings("user"))
					s.variable["MAVEN_OPTS"] += " -Duser.home=" + s.home
				}, false},
				// It wins over those of the user.
				slow(addFile("settings of the project", "app/.mvn/maven.config", "-Dflavour=project\n")),
				slow(change{"settings that a flag names", differs, func(s *state) {
					s.write(filepath.Join(s.home, "other.xml"), settings("named"))
					s.variable["MAVEN_ARGS"] = "-s " + filepath.Join(s.home, "other.xml")
					// Maven before 3.9 reads no such variable.
					s.write("app/.mvn/maven.config", "-s\n"+filepath.Join(s.home, "other.xml")+"\n")
				}, false}),
				slow(change{"what such settings say", differs, func(s *state) { s.write(filepath.Join(s.home, "other.xml"), settings("changed")) }, false}),
				slow(change{"a variable of the tool", differs, func(s *state) { s.variable["MAVEN_OPTS"] += " -Dflavour=options" }, false}),
				slow(change{"what only this machine has", none, func(s *state) { s.variable["MAVEN_OPTS"] += " -Xmx1g" }, false}),
				slow(change{"a settings script of the tool", seen, func(s *state) {
					s.write(filepath.Join(s.home, ".mavenrc"), "export MAVEN_OPTS=\"$MAVEN_OPTS -Dflavour=script\"\n")
				}, false}),
			}
		},
	}
}
