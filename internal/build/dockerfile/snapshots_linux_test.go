package dockerfile

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// overBase has something of everything, to be changed by steps on top of it.
const overBase = `FROM busybox
RUN mkdir -p /d/sub/deep /e /links && echo 1 > /d/a && echo 2 > /d/sub/b && echo 3 > /d/sub/deep/c && echo e > /e/f \
 && ln -s d /link && echo h > /links/one && ln /links/one /links/hard && mkfifo /links/pipe && chmod 4755 /e/f && chown 7:8 /d/sub && chmod 1777 /e && chmod 700 /
`

func onOverlays() map[string]string {
	return map[string]string{
		"file removed":             "RUN rm /d/a",
		"folder removed":           "RUN rm -r /d",
		"folder made again":        "RUN rm -r /d && mkdir -p /d/sub && echo new > /d/sub/n",
		"folder made again, empty": "RUN rm -r /d && mkdir /d",
		"the same made again":      "RUN rm -r /e && mkdir /e && chmod 1777 /e && echo e > /e/f && chmod 4755 /e/f",
		"folder renamed":           "RUN mv /d /moved",
		"file renamed":             "RUN mv /d/a /d/z",
		"over another":             "RUN mv /d/a /e/f",
		"file to folder":           "RUN rm /d/a && mkdir /d/a && echo x > /d/a/x",
		"folder to file":           "RUN rm -r /d/sub && echo x > /d/sub",
		"folder to link":           "RUN rm -r /d/sub && ln -s ../e /d/sub",
		"link to folder":           "RUN rm /link && mkdir /link && echo x > /link/a",
		"through a link":           "RUN echo x > /link/new && rm /link/sub/b",
		"opened, not written":      "RUN : >> /d/a",
		"written as it was":        "RUN echo 1 > /d/a",
		"touched":                  "RUN touch /d/a /d/sub",
		"same size and time":       "RUN touch -r /d/a /t && echo 9 > /d/a && touch -r /t /d/a && rm /t",
		"mode and back":            "RUN chmod 600 /d/a && chmod 644 /d/a",
		"mode":                     "RUN chmod 600 /d/a && chmod 711 /d/sub",
		"owner":                    "RUN chown 3:4 /d/sub/b && chown -h 5:6 /link",
		"appended":                 "RUN echo more >> /d/sub/deep/c",
		"new hard link":            "RUN ln /d/sub/b /e/b2",
		"hard links removed":       "RUN rm /links/hard",
		"pipe":                     "RUN rm /links/pipe && mkfifo -m 600 /links/pipe2",
		"root folder":              "RUN chmod 755 /",
		"nothing":                  "RUN true",
		"came and went":            "RUN mkdir /x && touch /x/y /d/y && rm -r /x /d/y",
		"copied over":              "COPY a.txt /d/a\nCOPY a.txt /d/sub/deep/\nADD t.tar /e/",
		"folder over a link":       "COPY dir /link/sub",
		"between stages":           "COPY --from=busybox /etc /d/\nRUN rm /d/group\nCOPY --from=busybox /bin/busybox /d/sub/b",
		"steps on steps":           "RUN rm -r /d/sub\nRUN mkdir /d/sub && echo 1 > /d/sub/one\nRUN rm /d/sub/one && echo 2 > /d/sub/two\nWORKDIR /d/sub/w\nRUN rmdir /d/sub/w /nowhere || rm -r /e",
		"mounts":                   "RUN --mount=type=tmpfs,target=/m/n --mount=type=cache,target=/d/cache --mount=type=bind,from=busybox,source=/etc,target=/d/etc ls /d/etc/passwd && echo x > /m/x",
		"sockets":                  "RUN timeout 1 nc -lU /d/s 2>/dev/null; true",
	}
}

// TestSameWithAndWithoutOverlays builds with stacked folders and with one folder,
// from nothing and on top of a layer that another process has left.
func TestSameWithAndWithoutOverlays(t *testing.T) {
	if os.Getenv("KN_LITE_TEST_PLAIN") != "" {
		t.Skip("SKIPPED: it builds both ways in any case")
	}
	files := map[string]string{"a.txt": "A", "dir/x": "X", "t.tar": string(archiveOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "in/tar", Mode: 0o644}))}
	text, targets := strings.Replace(overBase, "busybox", "busybox AS over", 1), map[string]string{}
	for name, steps := range onOverlays() {
		targets[name] = fmt.Sprint("t", len(targets))
		text += fmt.Sprintf("FROM over AS %s\n%s\n", targets[name], steps)
	}
	stacked, plain := newProject(t, text, files), newProject(t, text, files)
	plain.plain = true
	warm := newProject(t, text, files)
	warm.must(Options{Target: "over"})
	if warm.told.single {
		t.Skip("SKIPPED: one user only")
	}
	if err := os.RemoveAll(filepath.Join(warm.cache, "sandboxes")); err != nil {
		t.Fatal(err)
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			digest := func(p *project, noCache bool) v1.Hash {
				d, err := p.must(Options{Target: target, NoCache: noCache}).Image.Digest()
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			want := digest(stacked, true)
			if got := digest(plain, false); got != want {
				t.Errorf("with one folder it is %s, with stacked ones %s", got, want)
			}
			if got := digest(warm, false); got != want {
				t.Errorf("on a layer from before it is %s, without %s", got, want)
			}
		})
	}
}

// unreadable is an image whose layers cannot be fetched any more.
type unreadable struct{ v1.Image }

func (u unreadable) Layers() ([]v1.Layer, error) {
	layers, err := u.Image.Layers()
	for i, l := range layers {
		layers[i] = unreadableLayer{l}
	}
	return layers, err
}

type unreadableLayer struct{ v1.Layer }

var errGone = errors.New("the registry is gone")

func (unreadableLayer) Compressed() (io.ReadCloser, error)   { return nil, errGone }
func (unreadableLayer) Uncompressed() (io.ReadCloser, error) { return nil, errGone }

// The second build has neither the base's layers nor those of steps, only files
// that were unpacked before.
func TestStagesBeginWithSnapshots(t *testing.T) {
	image, err := busybox()
	if err != nil {
		t.Skipf("SKIPPED, no busybox from Debian: %v", err)
	}
	const text = `FROM base AS made
RUN echo made > /made && echo ran made
FROM base
COPY --from=made /made /
COPY changed /
RUN cat /made /changed > /both
`
	p := newProject(t, text, map[string]string{"changed": "1"})
	p.bases["base"] = image
	p.must(Options{})
	if !strings.Contains(p.told.output(), "ran made") {
		t.Fatalf("the stage was not built:\n%s", p.told.output())
	}
	if os.Getenv("KN_LITE_TEST_PLAIN") != "" || p.told.single {
		t.Skip("SKIPPED: it is about overlays")
	}
	p.bases["base"] = unreadable{image}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("changed", "2")
	if err := os.RemoveAll(filepath.Join(p.cache, "blobs")); err != nil {
		t.Fatal(err)
	}
	wantContent(t, p.must(Options{}), "both", "made\n2")
	if strings.Contains(p.told.output(), "ran made") {
		t.Errorf("the stage was built again:\n%s", p.told.output())
	}
	// The layer of a stage is made of its snapshot, when somebody asks for it.
	image2, err := p.build(Options{Target: "made"})
	if err != nil || strings.Contains(p.told.output(), "ran made") {
		t.Fatalf("%v\n%s", err, p.told.output())
	}
	wantContent(t, image2, "made", "made\n")
	// Without overlays there is nothing to begin with but the registry.
	p.plain = true
	write("changed", "3")
	if _, err := p.build(Options{}); !errors.Is(err, errGone) {
		t.Errorf("err = %v", err)
	}
}

func TestNoCacheReplacesSnapshots(t *testing.T) {
	p := newProject(t, "FROM busybox AS made\nRUN cat /proc/sys/kernel/random/uuid > /made\nFROM busybox\nCOPY --from=made /made /\nRUN cat /made > /copy\n", nil)
	p.must(Options{})
	second := p.must(Options{NoCache: true})
	want := contentOf(t, second, "made")
	if err := os.WriteFile(filepath.Join(p.dir, DefaultFile), []byte("FROM busybox AS made\nRUN cat /proc/sys/kernel/random/uuid > /made\nFROM busybox\nCOPY --from=made /made /other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantContent(t, p.must(Options{}), "other", want)
}

// The kernel stacks so many folders only; the ones below become one.
func TestManySteps(t *testing.T) {
	text := "FROM busybox AS many\nRUN mkdir /d && echo gone > /d/gone && chown 5:6 /d && ln -s x /d/l\n"
	for _, c := range strings.Split("abcdefgh", "") {
		text += "RUN echo " + c + " > /d/" + c + " && rm -f /d/gone && echo " + c + " >> /d/all\n"
	}
	p := newProject(t, text+"FROM busybox\nCOPY --from=many / /\n", nil)
	few := newProject(t, text+"FROM busybox\nCOPY --from=many / /\n", nil)
	few.maxLayers = 3
	a, err := p.must(Options{}).Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := few.must(Options{}).Image.Digest(); err != nil || b != a {
		t.Errorf("%s, with 3 folders at once %s, %v", a, b, err)
	}
}

// What means something to the kernel in a folder of an overlay is no part of a base.
func TestBaseCannotSpeakToTheOverlay(t *testing.T) {
	image, err := busybox()
	if err != nil {
		t.Skipf("SKIPPED, no busybox from Debian: %v", err)
	}
	layer := layerOf(t, archiveOf(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "etc/", Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr.user.overlay.opaque": "y"}},
		tar.Header{Typeflag: tar.TypeChar, Name: "bin/gone"}, // 0:0
	))
	layers, err := layer.Layers()
	if err != nil {
		t.Fatal(err)
	}
	p := newProject(t, "FROM base\nRUN grep -q app /etc/passwd && echo x > /etc/x\n", nil)
	if p.bases["base"], err = mutate.AppendLayers(image, layers...); err != nil {
		t.Fatal(err)
	}
	wantContent(t, p.must(Options{}), "etc/x", "x\n")
}
