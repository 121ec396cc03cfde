package dockerfile

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// hostState is a hash over what a build could do harm to: the host's files with
// their owners, modes and times, its mounts, and its settings.
func hostState(t *testing.T, canary string) string {
	t.Helper()
	h := sha256.New()
	for _, top := range []string{"/etc", "/usr/bin", "/usr/sbin", "/home", "/opt", "/srv", "/boot", canary} {
		err := filepath.WalkDir(top, func(at string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil // unreadable for us is out of reach for the build
			}
			info, err := entry.Info()
			if err == nil {
				fmt.Fprintln(h, at, info.Mode(), info.Size(), info.ModTime().UnixNano())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{
		"/proc/self/mountinfo", "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/panic",
		"/proc/sys/vm/overcommit_memory", "/proc/sys/net/ipv4/ip_forward",
	} {
		raw, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		h.Write(raw)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// crafted is an image whose only layer is made by hand.
func crafted(t *testing.T, headers ...tar.Header) v1.Image {
	t.Helper()
	base, err := busybox()
	if err != nil {
		t.Skipf("SKIPPED, no busybox from Debian: %v", err)
	}
	raw := archiveOf(t, headers...)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(base, l)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func archiveOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var raw bytes.Buffer
	tw := tar.NewWriter(&raw)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := tw.Write([]byte("evil")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return raw.Bytes()
}

// Each of them tries to reach the host. What the build says does not matter, as
// long as "REACHED" is not among it and the host is the same afterwards.
func TestHostileDockerfiles(t *testing.T) {
	canary := t.TempDir()
	if err := os.WriteFile(filepath.Join(canary, "secret"), []byte("canary"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KN_LITE_TEST_SECRET", "canary")
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	attempt := func(script string) string { return "FROM busybox\nRUN " + script + "\n" }
	link := func(name, target string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}
	}
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	tests := []struct {
		name, text string
		base       v1.Image
		files      map[string]string
	}{
		{"settings", attempt("for f in kernel/core_pattern kernel/panic vm/overcommit_memory net/ipv4/ip_forward; do v=$(cat /proc/sys/$f); echo \"$v\" > /proc/sys/$f && echo REACHED $f; done"), nil, nil},
		{"sysrq", attempt("echo h > /proc/sysrq-trigger && echo REACHED"), nil, nil},
		{"disk device", attempt("mknod /sda b 8 0 && dd if=/sda of=/dev/null count=1 && echo REACHED"), nil, nil},
		{"memory device", attempt("mknod /mem c 1 1 && head -c 1 /mem && echo REACHED"), nil, nil},
		{"mount", attempt("mount -t tmpfs none /mnt && echo REACHED; mount -t proc none /tmp && echo REACHED"), nil, nil},
		{"remount", attempt("mount -o remount,rw,bind /proc/sys && echo REACHED"), nil, nil},
		{"unmount", attempt("umount /proc/sys && echo REACHED; umount /etc/hosts && echo REACHED"), nil, nil},
		{"nested namespaces", attempt("unshare -r -m sh -c 'umount /proc/sys; v=$(cat /proc/sys/kernel/panic); echo $v > /proc/sys/kernel/panic && echo REACHED'"), nil, nil},
		{"home", attempt("ls " + home + "/.ssh " + home + "/.docker " + home + "/.config && echo REACHED"), nil, nil},
		{"canary", attempt("cat " + canary + "/secret && echo REACHED"), nil, nil},
		{"environment", attempt("env | grep canary && echo REACHED; cat /proc/1/environ | grep canary && echo REACHED"), nil, nil},
		{"the first process", attempt("for f in /proc/1/fd/*; do readlink $f && echo REACHED; done; ls /proc/1/root/ && echo REACHED; cat /proc/1/exe > /dev/null && echo REACHED"), nil, nil},
		{"open files", attempt("for f in /proc/self/fd/*; do case $(readlink $f) in /*secret*|/home*|/root*) echo REACHED;; esac; done; ls /proc/self/fd/4/ && echo REACHED"), nil, nil},
		{"other processes", attempt("kill -9 -1; [ $(ls -d /proc/[0-9]* | wc -l) -lt 8 ] || echo REACHED"), nil, nil},
		{"chroot", attempt("mkdir /x && busybox chroot /x /bin/true; cat /../../../.." + canary + "/secret && echo REACHED"), nil, nil},
		{"clock", attempt("date -s 2001-01-01; [ $(date +%Y) = 2001 ] && echo REACHED"), nil, nil},
		{"reboot", attempt("busybox reboot -f && echo REACHED"), nil, nil},
		{"modules", attempt("busybox insmod /bin/busybox && echo REACHED"), nil, nil},
		{"host name", attempt("hostname owned && echo REACHED"), nil, nil},
		{"fork bomb", attempt("ulimit -u; i=0; while [ $i -lt 6000 ]; do sleep 30 & i=$((i+1)); done; echo REACHED"), nil, nil},
		{"daemon", attempt("sleep 98765 & true"), nil, nil},
		{
			"base with links for folders", "FROM evil\nCOPY a /up/a\nCOPY a /abs/a\nRUN true\n",
			crafted(t, link("up", "../../../../../../../.."+canary), link("abs", canary)),
			map[string]string{"a": "evil"},
		},
		{
			"base with links for mount points", "FROM evil\nRUN cat /proc/secret /sys/secret && echo REACHED\n",
			crafted(t, link("proc", canary), link("sys", canary), link("etc/resolv.conf", canary+"/made")), nil,
		},
		{"base with names that climb", "FROM evil\nRUN true\n", crafted(t, file("../../../../../../../.."+canary+"/climbed")), nil},
		{
			"base with hard links out", "FROM evil\nRUN cat /stolen && echo REACHED\n",
			crafted(t, tar.Header{Typeflag: tar.TypeLink, Name: "stolen", Linkname: "../../../../../../../.." + canary + "/secret"}), nil,
		},
		{
			"base with devices", "FROM evil\nRUN head -c 1 /mem && echo REACHED\n",
			crafted(t, tar.Header{Typeflag: tar.TypeChar, Name: "mem", Devmajor: 1, Devminor: 1, Mode: 0o666}), nil,
		},
		{
			"archive that climbs", "FROM busybox\nADD a.tar /x/\nRUN true\n", nil,
			map[string]string{"a.tar": string(archiveOf(t, link("l", canary), file("l/through"), file("../../../../../.."+canary+"/climbed")))},
		},
		{"link in the context", "FROM scratch\nCOPY l /REACHED\n", nil, map[string]string{"l -> " + canary + "/secret": ""}},
		{"link on the way", "FROM scratch\nCOPY l/secret /REACHED\n", nil, map[string]string{"l -> " + canary: ""}},
		{"climbing source", "FROM scratch\nCOPY ../../../../../.." + canary + "/secret /REACHED\n", nil, nil},
		{"mount of a link in the context", "FROM busybox\nRUN --mount=type=bind,source=l,target=/m cat /m/secret && echo REACHED\n", nil, map[string]string{"l -> " + canary: ""}},
		{"mount of a link in a stage", "FROM busybox AS a\nRUN ln -s " + canary + " /l\nFROM busybox\nRUN --mount=type=bind,from=a,source=/l,target=/m cat /m/secret && echo REACHED\n", nil, nil},
		{"deletion marker", attempt("touch /.wh.etc && echo made"), nil, nil},
	}
	before := hostState(t, canary)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t, tt.text, tt.files)
			p.bases["evil"] = tt.base
			image, err := p.build(Options{})
			if strings.Contains(p.told.output(), "REACHED") {
				t.Errorf("reached the host:\n%s", p.told.output())
			}
			if err == nil {
				for _, entry := range added(t, image) {
					if strings.Contains(entry, "canary") && !strings.Contains(entry, " -> ") {
						t.Errorf("the image has %s", entry)
					}
				}
			} else {
				t.Logf("refused: %v", err)
			}
		})
	}
	if after := hostState(t, canary); after != before {
		t.Errorf("the host is not what it was: %s, %s before", after, before)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range processes {
		if raw, err := os.ReadFile(at); err == nil && strings.Contains(string(raw), "sleep\x0098765\x00") {
			t.Errorf("%s lives on: %q", at, raw)
		}
	}
}
