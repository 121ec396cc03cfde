package build

import (
	"context"
	"debug/elf"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/staticbase"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// ProgramPath is where Program puts the program.
const ProgramPath = "/usr/bin/kn-lite"

// Program returns an image of one program on the built-in base, which starts it as
// root with no arguments. The program has to be a static one for Linux; what it
// is decides the image's platform. The same file gives the same digest.
func Program(ctx context.Context, file, cacheDir string, now func() time.Time) (v1.Image, v1.Platform, error) {
	return programImage(ctx, file, cacheDir, now, staticbase.Files(), ProgramPath, "PATH="+defaultPath)
}

// KanikoPath is where Kaniko puts the executor.
const KanikoPath = "/kaniko/executor"

// Kaniko returns an image of kaniko's executor. Unlike Program's it has no base:
// kaniko builds images on its own root, and what lies there, but in /kaniko, would be
// in the way of theirs.
func Kaniko(ctx context.Context, file, cacheDir string, now func() time.Time) (v1.Image, v1.Platform, error) {
	const certificates = "kaniko/ssl/certs"
	base := []layer.File{
		layer.Dir("kaniko", 0o755), layer.Dir("kaniko/ssl", 0o755), layer.Dir(certificates, 0o755),
		layer.Bytes(certificates+"/ca-certificates.crt", 0o644, staticbase.Authorities()),
	}
	return programImage(ctx, file, cacheDir, now, base, KanikoPath,
		"HOME=/root", "USER=root", "PATH=/usr/local/bin:/kaniko", "SSL_CERT_DIR=/"+certificates, "DOCKER_CONFIG=/kaniko/.docker/")
}

// programImage returns an image of a program at a path, over base.
func programImage(ctx context.Context, file, cacheDir string, now func() time.Time, base []layer.File, at string, env ...string) (v1.Image, v1.Platform, error) {
	platform, err := staticProgram(file)
	if err != nil {
		return nil, platform, err
	}
	store, err := layer.Open(cacheDir, now)
	if err != nil {
		return nil, platform, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, platform, &fault.Error{Op: "build.program", Subject: file, Err: err}
	}
	program := layer.File{
		Path: strings.TrimPrefix(at, "/"), Mode: 0o755, Size: info.Size(),
		Open: func() (io.ReadCloser, error) { return regular.Open(file) },
	}
	epoch := time.Unix(0, 0).UTC()
	var adds []mutate.Addendum
	for _, files := range [][]layer.File{base, {program}} {
		made, _, err := store.Write(ctx, files, epoch)
		if err != nil {
			return nil, platform, err
		}
		adds = append(adds, mutate.Addendum{
			Layer: made, MediaType: types.OCILayer, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: creator},
		})
	}
	image, err := layer.Assemble(adds, platform, nil, func(config *v1.ConfigFile) {
		config.Created = v1.Time{Time: epoch}
		config.Config.Entrypoint = []string{at}
		config.Config.Env = env
		config.Config.WorkingDir = "/"
		config.Config.User = "0:0"
	})
	return image, platform, err
}

// staticProgram reads what machine a program is for, and refuses one that needs
// libraries, which the built-in base does not have.
func staticProgram(file string) (v1.Platform, error) {
	refuse := func(format string, args ...any) (v1.Platform, error) {
		return v1.Platform{}, fault.New(fault.Conflict, "build.program", file, format, args...)
	}
	f, err := elf.Open(file)
	if err != nil {
		return refuse("not a program for Linux: %w", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return refuse("the program is linked with shared libraries, which its image would not have: build it with CGO_ENABLED=0")
		}
	}
	for architecture, m := range machines() {
		if m.number == uint16(f.Machine) {
			return v1.Platform{OS: "linux", Architecture: architecture}, nil
		}
	}
	return refuse("a program for %s, which images have no name for here", f.Machine)
}
