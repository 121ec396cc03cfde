package clusterbuild

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// streamOf is an order with an archive of these entries.
func streamOf(t *testing.T, headers ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(protocol)
	_ = binary.Write(&out, binary.BigEndian, uint32(2))
	out.WriteString("{}")
	var archive bytes.Buffer
	zw := gzip.NewWriter(&archive)
	tw := tar.NewWriter(zw)
	for _, h := range headers {
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	_ = binary.Write(&out, binary.BigEndian, uint32(archive.Len()))
	out.Write(archive.Bytes())
	_ = binary.Write(&out, binary.BigEndian, uint32(0))
	return out.Bytes()
}

func receive(t *testing.T, raw []byte) error {
	t.Helper()
	dir, check := inside(t)
	defer check()
	ctx, client := Accept(t.Context(), bytes.NewReader(raw), time.Minute)
	_, err := client.Receive(ctx, dir)
	return err
}

// No name and no link leads out of the folder, and nothing is written over.
func TestReceiveStaysInside(t *testing.T) {
	file := func(name string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 1}
	}
	link := func(name, to string) *tar.Header {
		return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for name, headers := range map[string][]*tar.Header{
		"above":               {file("../escaped")},
		"above, further on":   {file("a/../../escaped")},
		"absolute":            {file("/escaped")},
		"through a link":      {link("out", ".."), file("out/escaped")},
		"through a far link":  {link("out", "/"), file("out/escaped")},
		"over a link":         {link("l", "../escaped"), file("l")},
		"twice":               {file("a"), file("a")},
		"a file as a folder":  {file("a"), file("a/b")},
		"a device":            {{Typeflag: tar.TypeChar, Name: "null", Mode: 0o666, Devmajor: 1, Devminor: 3}},
		"a FIFO":              {{Typeflag: tar.TypeFifo, Name: "pipe", Mode: 0o666}},
		"a hard link":         {file("a"), {Typeflag: tar.TypeLink, Name: "b", Linkname: "a"}},
		"a hard link outward": {{Typeflag: tar.TypeLink, Name: "b", Linkname: "/etc/passwd"}},
	} {
		if err := receive(t, streamOf(t, headers...)); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

func TestReceiveModes(t *testing.T) {
	dir := t.TempDir()
	ctx, client := Accept(t.Context(), bytes.NewReader(streamOf(t,
		&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o711},
		&tar.Header{Typeflag: tar.TypeReg, Name: "d/run", Mode: 0o4755, Size: 3},
		&tar.Header{Typeflag: tar.TypeReg, Name: "deep/without/folders", Mode: 0o600},
		&tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "/etc/passwd"},
	)), time.Minute)
	if _, err := client.Receive(ctx, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"d": os.ModeDir | 0o711, "d/run": 0o755, "deep": os.ModeDir | 0o755, "deep/without/folders": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, want %v", name, info.Mode(), want)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "l")); err != nil || to != "/etc/passwd" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

// A stream that ends anywhere but at its end is no context, wherever that is.
func TestReceiveCutAnywhere(t *testing.T) {
	var out bytes.Buffer
	files := []layer.File{layer.Bytes("a", 0o644, []byte("text")), layer.Dir("d", 0o755)}
	if err := writeOrder(t.Context(), &out, &Order{Tag: "registry.example/app:v1"}, files, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	whole := out.Bytes()
	for n := range whole {
		if err := receive(t, whole[:n]); err == nil {
			t.Fatalf("%d bytes of %d were taken for all", n, len(whole))
		} else if n < len(protocol) && (fault.KindOf(err) != fault.Transient || !strings.Contains(err.Error(), "broke off")) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := receive(t, whole); err != nil {
		t.Errorf("all of it: %v", err)
	}
}

func TestReceiveRefusesOrders(t *testing.T) {
	size := func(n uint32, text string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte(protocol), n), text...)
	}
	for name, tt := range map[string]struct {
		raw  []byte
		kind fault.Kind
		want string
	}{
		"another protocol": {[]byte("kn-lite cluster build 2\n"), fault.Conflict, "another release"},
		"no protocol":      {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), fault.Conflict, "another release"},
		"too large":        {size(maxOrder+1, ""), fault.Usage, "larger than"},
		"no JSON":          {size(3, "{{{"), fault.Failure, "the order"},
		"no archive":       {append(size(2, "{}"), 0, 0, 0, 2, 'n', 'o', 0, 0, 0, 0), fault.Failure, ""},
	} {
		err := receive(t, tt.raw)
		if err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v (%v)", name, err, fault.KindOf(err))
		}
	}
}

// A client that says nothing any more is gone, and one that is gone ends the build.
func TestClientIsLost(t *testing.T) {
	in, writer := io.Pipe()
	defer writer.Close()
	ctx, client := Accept(t.Context(), in, 20*time.Millisecond)
	if _, err := client.Receive(ctx, t.TempDir()); fault.KindOf(err) != fault.Transient || !Lost(ctx) {
		t.Errorf("silence is %v; lost: %t", err, Lost(ctx))
	}
	ctx, client = Accept(t.Context(), bytes.NewReader(make([]byte, 200)), time.Minute)
	client.Watch()
	if ctx.Err() == nil || !Lost(ctx) {
		t.Error("the end of the signs of life is not noticed")
	}
	outer, cancel := context.WithCancel(t.Context())
	ctx, client = Accept(outer, in, time.Minute)
	cancel()
	if _, err := client.Receive(ctx, t.TempDir()); !errors.Is(err, context.Canceled) || Lost(ctx) {
		t.Errorf("an interrupt is %v; lost: %t", err, Lost(ctx))
	}
}

// A file that is another one by the time it is sent spoils the build, and says so.
func TestSendingAFileThatChanges(t *testing.T) {
	for name, size := range map[string]int64{"shorter": 8, "longer": 2} {
		f := layer.Bytes("late", 0o644, []byte("1234"))
		f.Size = size
		err := WriteContext(t.Context(), io.Discard, []layer.File{f}, func(int64) {})
		if name == "longer" {
			// What has grown is cut where it was; whether it changed is up to who opened it.
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "late: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	odd := layer.File{Path: "socket", Mode: os.ModeSocket}
	if err := WriteContext(t.Context(), io.Discard, []layer.File{odd}, func(int64) {}); err == nil || !strings.Contains(err.Error(), "socket: ") {
		t.Errorf("a socket: %v", err)
	}
}
