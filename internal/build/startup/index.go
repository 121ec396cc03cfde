package startup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// entry is what is known about a file of a layer.
type entry struct {
	Dir  bool   `json:"d,omitempty"`
	Link string `json:"l,omitempty"` // target of a symbolic link
	Same string `json:"s,omitempty"` // path that a hard link stands for
	Exec bool   `json:"x,omitempty"` // anybody may execute it
	// Of what may be executed: #!LINE, the dynamic linker after "ELF ", or "ELF" alone;
	// "" when it is neither.
	Head string `json:"h,omitempty"`
	Gone bool   `json:"g,omitempty"` // a whiteout
	Only bool   `json:"o,omitempty"` // a folder whose content in lower layers is hidden
	// Implied is a folder that has no entry and something in it: what it is, a lower
	// layer says.
	Implied bool `json:"i,omitempty"`
}

// headSize is how much of a program is read: linkers put the headers first.
const headSize = 4096

// readLayer lists the files of an unpacked layer.
func readLayer(ctx context.Context, content io.Reader) (map[string]entry, error) {
	files := map[string]entry{}
	tr := tar.NewReader(bufio.NewReaderSize(content, 1<<20))
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			addFolders(files)
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := clean(h.Name)
		dir, base := path.Split(name)
		if base == ".wh..wh..opq" {
			dir = clean(dir)
			e := files[dir]
			e.Dir, e.Only = true, true
			files[dir] = e
			continue
		}
		if hidden, ok := strings.CutPrefix(base, ".wh."); ok {
			files[path.Join(dir, hidden)] = entry{Gone: true}
			continue
		}
		e, err := entryOf(h, tr)
		if err != nil {
			return nil, err
		}
		e.Only = e.Only || e.Dir && files[name].Only
		files[name] = e
	}
}

// addFolders adds the folders that an archive has no entries for.
func addFolders(files map[string]entry) {
	for _, name := range slices.Collect(maps.Keys(files)) {
		if files[name].Gone {
			continue
		}
		for above := path.Dir(name); above != "." && above != "/"; above = path.Dir(above) {
			if _, ok := files[above]; ok {
				break
			}
			files[above] = entry{Dir: true, Implied: true}
		}
	}
}

func entryOf(h *tar.Header, content io.Reader) (entry, error) {
	switch h.Typeflag {
	case tar.TypeDir:
		return entry{Dir: true}, nil
	case tar.TypeSymlink:
		return entry{Link: h.Linkname}, nil
	case tar.TypeLink:
		return entry{Same: clean(h.Linkname)}, nil
	case tar.TypeReg:
	default:
		return entry{}, nil
	}
	e := entry{Exec: h.Mode&0o111 != 0}
	if !e.Exec {
		return e, nil
	}
	head := make([]byte, min(headSize, h.Size))
	if _, err := io.ReadFull(content, head); err != nil {
		return e, err
	}
	e.Head = describeHead(head)
	return e, nil
}

// describeHead returns what a program's first bytes say about how it is run.
func describeHead(head []byte) string {
	if bytes.HasPrefix(head, []byte("#!")) {
		line, _, _ := bytes.Cut(head, []byte("\n"))
		return string(line[:min(len(line), 256)])
	}
	if len(head) < 64 || string(head[:4]) != "\x7fELF" {
		return ""
	}
	if linker := dynamicLinker(head); linker != "" {
		return "ELF " + linker
	}
	return "ELF"
}

// dynamicLinker returns the program that an ELF file asks for to be loaded with
// (https://gabi.xinuos.com/elf/07-pheader.html), "" when it asks for none, or says
// so beyond head.
func dynamicLinker(head []byte) string {
	const interp = 3
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	wide := head[4] == 2
	at, size, count := uint64(order.Uint32(head[28:])), uint64(order.Uint16(head[42:])), int(order.Uint16(head[44:]))
	if wide {
		at, size, count = order.Uint64(head[32:]), uint64(order.Uint16(head[54:])), int(order.Uint16(head[56:]))
	}
	length := uint64(len(head))
	for range count {
		if at > length || length-at < 40 {
			return ""
		}
		if order.Uint32(head[at:]) != interp {
			at += size
			continue
		}
		offset, bytesOf := uint64(order.Uint32(head[at+4:])), uint64(order.Uint32(head[at+16:]))
		if wide {
			offset, bytesOf = order.Uint64(head[at+8:]), order.Uint64(head[at+32:])
		}
		if offset > length || bytesOf > length-offset {
			return ""
		}
		return string(bytes.TrimRight(head[offset:offset+bytesOf], "\x00"))
	}
	return ""
}

// clean returns the name of an archive's entry as a path without a slash in front.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
