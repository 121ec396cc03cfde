package dockerfile

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// mountKey is what a RUN's result depends on of a mount. Caches and secrets are
// no part of it.
func (b *builder) mountKey(ctx context.Context, index int, m *instructions.Mount, where []parser.Range) (string, error) {
	key := digest(string(m.Type), m.From, m.Source, m.Target, m.CacheID, strconv.FormatBool(m.ReadOnly), strconv.FormatBool(m.Required))
	if m.Env != nil {
		key = digest(key, *m.Env)
	}
	if m.Type != instructions.MountTypeBind && m.Type != instructions.MountTypeCache {
		return key, nil
	}
	if m.From != "" {
		from, err := b.other(ctx, index, m.From, where)
		if err != nil {
			return "", err
		}
		return digest(key, from.key), nil
	}
	if m.Type == instructions.MountTypeCache {
		return key, nil
	}
	files, err := b.contextFiles(ctx)
	if err != nil {
		return "", b.locate(where, err)
	}
	content, err := layer.ContentKey(ctx, files)
	return digest(key, content), err
}

func (b *builder) contextFiles(ctx context.Context) ([]layer.File, error) {
	return b.context.files(ctx, found{name: ".", base: ".", dir: true}, nil)
}

// mount is one --mount of RUN, or nil for a secret that is not there and not required.
func (b *builder) mount(ctx context.Context, s *stage, index int, m *instructions.Mount, where []parser.Range) (*sandbox.Mount, error) {
	target := m.Target
	if m.Type == instructions.MountTypeSecret && target == "" {
		target = "/run/secrets/" + path.Base(secretID(m))
	}
	out := &sandbox.Mount{Target: path.Clean(target), ReadOnly: m.ReadOnly}
	if !path.IsAbs(target) {
		out.Target = path.Join("/", s.config.WorkingDir, target)
	}
	if out.Target == "/" {
		return nil, fault.New(fault.Build, "dockerfile.mount", "", "--mount=type=%s has the whole image as its target", m.Type).
			WithHint("give it a folder: target=/FOLDER, or a WORKDIR that a relative target is below")
	}
	number := func(v *uint64) int {
		if v == nil {
			return 0
		}
		return int(min(*v, 1<<31-1))
	}
	out.UID, out.GID = number(m.UID), number(m.GID)
	switch m.Type {
	case instructions.MountTypeTmpfs:
		out.Mode, out.Size = 0o1777, m.SizeLimit
		return out, nil
	case instructions.MountTypeSecret:
		return b.secret(m, out)
	case instructions.MountTypeCache:
		return out, b.cache(ctx, index, m, out, where)
	}
	return b.bind(ctx, index, m, out, where)
}

// cache mounts a folder that outlasts the build. With from= it starts with the
// files of a stage, and is another one for other files.
func (b *builder) cache(ctx context.Context, index int, m *instructions.Mount, out *sandbox.Mount, where []parser.Range) error {
	id := m.CacheID
	if id == "" {
		id = path.Clean(m.Target) // as it is written: a relative one is the same for every WORKDIR
	}
	name := b.tree.Dir() + "\x00" + id
	var start *root
	if m.From != "" {
		from, err := b.other(ctx, index, m.From, where)
		if err != nil {
			return err
		}
		if start, err = b.root(ctx, from); err != nil {
			return err
		}
		name += "\x00" + from.key + "\x00" + m.Source
	}
	dir, err := b.cacheFolder(name)
	if err != nil {
		return err
	}
	out.Source = dir
	if start != nil {
		return b.seed(ctx, start, path.Join("/", m.Source), dir)
	}
	if m.UID == nil && m.GID == nil && m.Mode == nil {
		return nil
	}
	mode := fs.FileMode(0o755)
	if m.Mode != nil {
		mode = fs.FileMode(*m.Mode)
	}
	return b.box.Own(ctx, dir, mode, out.UID, out.GID)
}

// seed fills a cache that is new, which a mark beside it says.
func (b *builder) seed(ctx context.Context, from *root, folder, dir string) error {
	mark := dir + ".filled"
	if _, err := os.Lstat(mark); err == nil {
		return nil
	}
	if err := b.copyOut(ctx, from, folder, &root{dir: dir}); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}

// copyOut copies a folder with all that is in it, or a file, to the top of an
// empty root.
func (b *builder) copyOut(ctx context.Context, from *root, at string, to *root) error {
	var sources []rootfs.Source
	if err := b.call(ctx, from, rootfs.GuestMatch, rootfs.MatchArgs{Patterns: []string{at}}, &sources, nil, nil); err != nil {
		return err
	}
	take := rootfs.TakeArgs{Sources: sources, SingleUser: b.singleUser()}
	return b.transfer(ctx, from, take, rootfs.UnpackArgs{Dest: "/", Top: true, SingleUser: b.singleUser()}, to)
}

func (b *builder) secret(m *instructions.Mount, out *sandbox.Mount) (*sandbox.Mount, error) {
	id := secretID(m)
	content, ok := b.Secrets[id]
	if !ok {
		if m.Required {
			return nil, fault.New(fault.Build, "dockerfile.secret", "", "secret %q is required", id).WithHint("hand it over: {Dockerfile.Secrets} id=%s,src=FILE", id)
		}
		return nil, nil
	}
	out.Content, out.Mode, out.ReadOnly = append([]byte{}, content...), 0o400, true
	if m.Mode != nil {
		out.Mode = fs.FileMode(*m.Mode)
	}
	if m.Env != nil && m.Target == "" {
		return nil, nil // it is a variable, and no file
	}
	return out, nil
}

// secretEnv returns the variables that have secrets for values. They are set for one
// RUN, and are in no key and no history.
func (b *builder) secretEnv(mounts []*instructions.Mount) (env []string) {
	for _, m := range mounts {
		if m.Type == instructions.MountTypeSecret && m.Env != nil {
			env = append(env, *m.Env+"="+string(b.Secrets[secretID(m)])) // empty if it was not handed over
		}
	}
	return env
}

// secretID is the name that a secret was handed over by.
func secretID(m *instructions.Mount) string {
	switch {
	case m.Source != "":
		return m.Source
	case m.CacheID != "":
		return m.CacheID
	}
	return path.Base(m.Target)
}

// bind shows a folder of another stage or of the context.
func (b *builder) bind(ctx context.Context, index int, m *instructions.Mount, out *sandbox.Mount, where []parser.Range) (*sandbox.Mount, error) {
	var from *root
	var err error
	if m.From != "" {
		var other *stage
		if other, err = b.other(ctx, index, m.From, where); err == nil {
			from, err = b.root(ctx, other)
		}
	} else {
		from, err = b.contextRoot(ctx)
	}
	if err != nil {
		return nil, err
	}
	// The links on the way are followed inside of the sandbox, below from.
	if out.Source = from.dir; from.layered {
		out.Overlay = b.overlay(from)
	}
	out.Sub = path.Join("/", m.Source)
	var sources []rootfs.Source
	if err := b.call(ctx, from, rootfs.GuestMatch, rootfs.MatchArgs{Patterns: []string{out.Sub}}, &sources, nil, nil); err != nil {
		return nil, err
	}
	out.File = len(sources) == 1 && !sources[0].Dir
	if m.ReadOnly {
		return out, nil
	}
	// What is written is seen by this RUN alone, and thrown away.
	copied, err := b.box.Root()
	if err != nil {
		return nil, err
	}
	if err := b.copyOut(ctx, from, out.Sub, &root{dir: copied}); err != nil {
		return nil, err
	}
	out.Source, out.Overlay = copied, nil
	if out.Sub = "/"; out.File {
		out.Sub = "/" + path.Base(sources[0].Path)
	}
	return out, nil
}

// contextRoot returns the context as a root, for all mounts of it.
func (b *builder) contextRoot(ctx context.Context) (*root, error) {
	b.sharing.Lock()
	defer b.sharing.Unlock()
	if b.shared != nil {
		return b.shared, nil
	}
	dir, err := b.box.Root()
	if err != nil {
		return nil, err
	}
	files, err := b.contextFiles(ctx)
	if err != nil {
		return nil, err
	}
	r := &root{dir: dir}
	args := rootfs.PutArgs{Dest: "/", Owner: "0:0", SingleUser: b.singleUser()}
	err = b.pipe(
		func(w io.Writer) error { return layer.WriteTar(ctx, w, files, b.Epoch) },
		func(in io.Reader) error { return b.call(ctx, r, rootfs.GuestPut, args, nil, in, nil) },
	)
	if err == nil {
		b.shared = r
	}
	return r, err
}
