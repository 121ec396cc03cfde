package startup

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
)

type file struct {
	name, text string
	kind       byte
	mode       int64
}

func layerOf(t *testing.T, files ...file) v1.Layer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Mode: f.mode}
		if f.kind == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(f.text))
		} else {
			h.Linkname = f.text
		}
		if f.mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, f.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return static.NewLayer(out.Bytes(), types.OCIUncompressedLayer)
}

func opened(_ context.Context, l v1.Layer) (io.ReadCloser, error) { return l.Uncompressed() }

// program is a file that is one for Linux, and asks for a dynamic linker if one is named.
func program(linker string) string {
	head := make([]byte, 64, 256)
	copy(head, "\x7fELF\x02\x01\x01")
	binary.LittleEndian.PutUint16(head[16:], uint16(elf.ET_DYN))
	if linker == "" {
		return string(head)
	}
	binary.LittleEndian.PutUint64(head[32:], 64)
	binary.LittleEndian.PutUint16(head[54:], 56)
	binary.LittleEndian.PutUint16(head[56:], 1)
	segment := make([]byte, 56)
	binary.LittleEndian.PutUint32(segment, uint32(elf.PT_INTERP))
	binary.LittleEndian.PutUint64(segment[8:], 120)
	binary.LittleEndian.PutUint64(segment[32:], uint64(len(linker)+1))
	return string(head) + string(segment) + linker + "\x00"
}

// base has a shell, a linked Node.js and Python, as distributions lay them out.
func base(t *testing.T) v1.Layer {
	t.Helper()
	return layerOf(t,
		file{name: "bin", kind: tar.TypeSymlink, text: "usr/bin"}, file{name: "lib64", kind: tar.TypeSymlink, text: "/usr/lib64"},
		file{name: "usr/lib64/ld-linux-x86-64.so.2", text: program("")},
		file{name: "usr/bin/dash", text: program("/lib64/ld-linux-x86-64.so.2")}, file{name: "usr/bin/sh", kind: tar.TypeSymlink, text: "dash"},
		file{name: "usr/bin/env", text: program("/lib64/ld-linux-x86-64.so.2")}, file{name: "usr/bin/hard", kind: tar.TypeLink, text: "usr/bin/env"},
		file{name: "usr/local/bin/node", text: program("/lib64/ld-linux-x86-64.so.2")},
		file{name: "usr/local/bin/python3", kind: tar.TypeSymlink, text: "python3.13"}, file{name: "usr/local/bin/python3.13", text: program("/lib64/ld-linux-x86-64.so.2")},
		file{name: "usr/local/lib/python3.13/http/__init__.py", mode: 0o644}, file{name: "usr/local/lib/python3.13/site-packages/pip/__init__.py", mode: 0o644},
		file{name: "opt/jre/bin/java", text: program("")},
		file{name: "old/tool", text: program("")}, file{name: "loop", kind: tar.TypeSymlink, text: "loop"},
	)
}

func TestCheck(t *testing.T) {
	application := layerOf(t,
		file{name: "./app/server.js", mode: 0o644}, file{name: "app/main.py", mode: 0o644}, file{name: "app/flaskr/__init__.py", mode: 0o644}, file{name: "app/app.jar", mode: 0o644},
		file{name: "app/node_modules/.bin/next", kind: tar.TypeSymlink, text: "../next/cli.js"}, file{name: "app/node_modules/next/cli.js", text: "#!/usr/bin/env node\n"},
		file{name: "app/node_modules/.bin/dangling", kind: tar.TypeSymlink, text: "../gone/cli.js"},
		file{name: "app/run.sh", text: "#!/bin/sh\nexec x\n"}, file{name: "app/dos.sh", text: "#!/bin/sh\r\n"}, file{name: "app/bash.sh", text: "#!/bin/bash -e\n"},
		file{name: "app/ruby", text: "#!/usr/bin/env -S ruby -w\n"}, file{name: "app/text", text: "echo\n"}, file{name: "app/plain", text: "#!/bin/sh\n", mode: 0o644},
		file{name: "app/musl", text: program("/lib/ld-musl-x86_64.so.1")}, file{name: "app/static", text: program("")}, file{name: "app/self", text: "#!/app/self\n"},
		file{name: "dependencies/gunicorn/__init__.py", mode: 0o644}, file{name: "dependencies/bin/gunicorn", text: "#!/usr/bin/env python3\n"},
		file{name: "old/.wh.tool", mode: 0o644}, file{name: "usr/share/doc", mode: 0o644},
	)
	layers := []v1.Layer{base(t), application}
	cache := t.TempDir()
	for command, says := range map[string]string{
		"":                                     "",
		"node server.js":                       "",
		"node --enable-source-maps server":     "",
		"node -r dotenv/config ./server.js":    "",
		"node missing.js":                      "node is to run it, and there is no /app/missing.js in the image",
		"node -e x":                            "",
		"node .":                               "",
		"next start":                           "",
		"dangling":                             "it is in no folder of the image's PATH",
		"cross-env NODE_ENV=production node x": "cross-env: the image cannot start: it is in no folder of the image's PATH, /app/node_modules/.bin:",
		"/app/run.sh":                          "", "./run.sh": "", "run.sh": "it is in no folder",
		"/app/dos.sh":  "end as on Windows",
		"/app/bash.sh": "its first line asks for /bin/bash, which is not in the image",
		"/app/ruby":    "its first line asks for ruby",
		"/app/text":    "it is no program",
		"/app/plain":   "nobody may execute it",
		"/app/musl":    "lacks what loads them, /lib/ld-musl-x86_64.so.1",
		"/app/static":  "", "/bin/hard": "", "/loop": "it is not in the image", "/app": "it is not in the image",
		"/app/self":       "its first line names no interpreter",
		"/old/tool":       "it is not in the image",
		"python3 main.py": "", "python3 -u gone.py": "there is no /app/gone.py", "python3 -W ignore -m gunicorn app:app": "", "python3 -m uvicorn main:app": "the image has no module uvicorn",
		"python3 -m http.server": "", "python3 -m pip": "", "python3.13 -c x": "", "python3 -m flaskr": "",
		"gunicorn app":                          "",
		"/opt/jre/bin/java -Xmx1g -jar app.jar": "", "/opt/jre/bin/java -jar /gone.jar": "java is to run it",
		"/bin/sh -c|next build && node server.js": "", "/bin/sh -c|nodemon server.js": "nodemon: the image cannot start", "/bin/sh -c|exec node gone.js": "there is no /app/gone.js",
		"/bin/sh -c|cd x && nodemon": "", "/bin/sh -c|nodemon || node server.js": "", "/bin/sh -c|$TOOL x": "", "/bin/sh -c|A=1 node $MAIN": "", "/bin/sh -ec|gone": "gone: the image cannot start",
		"/bin/sh run.sh": "", "/bin/sh gone.sh": "sh is to run it", "/data/bin/start": "", "/bin/sh -c|PATH=/x:$PATH tool": "",
	} {
		config := &v1.ConfigFile{Config: v1.Config{
			WorkingDir: "/app", Env: []string{"PATH=/app/node_modules/.bin:/dependencies/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/app:/dependencies"},
			Volumes: map[string]struct{}{"/data": {}},
		}}
		if plain, line, ok := strings.Cut(command, "|"); ok && !strings.Contains(plain, "nodemon") {
			config.Config.Entrypoint = append(strings.Fields(plain), line)
		} else {
			config.Config.Entrypoint = strings.Fields(command)
		}
		err := Check(context.Background(), config, layers, opened, cache)
		if says == "" && err != nil || says != "" && (fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v", command, err)
		}
	}
	if kept, err := filepath.Glob(filepath.Join(Folder(cache), "*")); err != nil || len(kept) != 2 {
		t.Errorf("remembered: %v, %v", kept, err)
	}
}

// What is remembered is not read again, and what is damaged is.
func TestCheckRemembers(t *testing.T) {
	layers, cache, reads := []v1.Layer{base(t)}, t.TempDir(), 0
	open := func(ctx context.Context, l v1.Layer) (io.ReadCloser, error) { reads++; return opened(ctx, l) }
	config := &v1.ConfigFile{Config: v1.Config{Entrypoint: []string{"sh"}, Cmd: []string{"-c", "true"}}}
	for want, spoil := range []bool{false, false, true} {
		config.Config.Cmd[1] = strings.Repeat("true;", want) // else it is known that it passes
		if spoil {
			names, err := filepath.Glob(filepath.Join(Folder(cache), "*"))
			if err != nil || len(names) != 1 {
				t.Fatal(names, err)
			}
			if err := os.WriteFile(names[0], []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := Check(context.Background(), config, layers, open, cache); err != nil || reads != max(1, want) {
			t.Errorf("%d: %d reads, %v", want, reads, err)
		}
	}
}

// The linkers of this machine's own programs are read as others read them.
func TestDynamicLinker(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no ELF here")
	}
	for _, name := range []string{"sh", "env", "git"} {
		at, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		f, err := elf.NewFile(bytes.NewReader(raw))
		if err != nil {
			continue // a script
		}
		want := ""
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP {
				text, err := io.ReadAll(p.Open())
				if err != nil {
					t.Fatal(err)
				}
				want = strings.TrimRight(string(text), "\x00")
			}
		}
		if got := dynamicLinker(raw[:min(len(raw), headSize)]); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestOpaqueFolders(t *testing.T) {
	lower := layerOf(t, file{name: "app/a", text: program("")}, file{name: "app/sub/b", text: program("")}, file{name: "lnk", kind: tar.TypeSymlink, text: "app"})
	upper := layerOf(t, file{name: "app/.wh..wh..opq"}, file{name: "app/c", text: program("")}, file{name: ".wh.gone"})
	for name, want := range map[string]bool{"/app/a": false, "/app/sub/b": false, "/app/c": true, "/lnk/c": true} {
		config := &v1.ConfigFile{Config: v1.Config{Entrypoint: []string{name}}}
		if err := Check(context.Background(), config, []v1.Layer{lower, upper}, opened, ""); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadLayer(f *testing.F) {
	f.Add([]byte(program("/lib/ld.so")))
	f.Add([]byte("#!/bin/sh\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if text := describeHead(head); len(text) > len(head)+8 {
			t.Error(fmt.Sprint(text))
		}
	})
}

// What was listed while a layer was made is not read again.
func TestCheckTakesListings(t *testing.T) {
	l, cache := base(t), t.TempDir()
	digest, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	content, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var listing Listing
	if err := listing.Read(t.Context(), content); err != nil {
		t.Fatal(err)
	}
	listing.Keep(cache, digest)
	open := func(context.Context, v1.Layer) (io.ReadCloser, error) {
		t.Error("read again")
		return nil, io.ErrClosedPipe
	}
	config := &v1.ConfigFile{Config: v1.Config{Cmd: []string{"sh"}}}
	if err := Check(t.Context(), config, []v1.Layer{l}, open, cache); err != nil {
		t.Error(err)
	}
	config.Config.Cmd = []string{"zsh"}
	if err := Check(t.Context(), config, []v1.Layer{l}, open, cache); fault.KindOf(err) != fault.Build {
		t.Errorf("err = %v", err)
	}
}

// An image that has passed is not looked into again; another start of it is.
func TestCheckRemembersWhatHasPassed(t *testing.T) {
	layers, cache := []v1.Layer{base(t)}, t.TempDir()
	config := &v1.ConfigFile{Config: v1.Config{Cmd: []string{"sh"}}}
	if err := Check(t.Context(), config, layers, opened, cache); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(Folder(cache)); err != nil {
		t.Fatal(err)
	}
	open := func(context.Context, v1.Layer) (io.ReadCloser, error) { return nil, io.ErrClosedPipe }
	if err := Check(t.Context(), config, layers, open, cache); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(c *v1.Config){
		"command":     func(c *v1.Config) { c.Cmd = []string{"env"} },
		"entry point": func(c *v1.Config) { c.Entrypoint = []string{"env"} },
		"variable":    func(c *v1.Config) { c.Env = []string{"PATH=/old"} },
		"folder":      func(c *v1.Config) { c.WorkingDir = "/app" },
		"volume":      func(c *v1.Config) { c.Volumes = map[string]struct{}{"/usr": {}} },
	} {
		other := config.DeepCopy()
		change(&other.Config)
		if err := Check(t.Context(), other, layers, open, cache); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if err := Check(t.Context(), config, append(layers, layerOf(t)), open, cache); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("another layer: %v", err)
	}
	config.Config.Cmd = []string{"zsh"}
	for range 2 {
		if err := Check(t.Context(), config, layers, opened, cache); fault.KindOf(err) != fault.Build {
			t.Errorf("err = %v", err)
		}
	}
}
