package rust

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/include"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// lockCommand writes the lock of a project that has none.
const lockCommand = "cargo generate-lockfile"

// unlocked says that no lock chooses the versions of the packages.
func unlocked(found *cargo.Project) *lang.Unlocked {
	if !found.Unlocked {
		return nil
	}
	return &lang.Unlocked{Why: "there is no Cargo.lock", Command: lockCommand}
}

// withLock returns the project and what was found in it as they are in a copy with
// a lock: cargo wants one beside the manifest, and nothing is written to the
// user's folder. The copy of the same sources is used again.
func withLock(ctx context.Context, tool string, p *lang.Project, found *cargo.Project) (*lang.Project, *cargo.Project, error) {
	if len(cargo.Outside(found.Root))+len(include.Outside(found.Root, skipper(found.Root, nil))) > 0 {
		return nil, nil, fault.New(fault.Usage, "build.rust", p.Label, "there is no Cargo.lock, and the project uses files outside of its folder, which cannot be built without one").
			WithHint("write the lock and keep it with the code: %s", lockCommand)
	}
	within, err := filepath.Rel(found.Root, p.Dir)
	if err != nil {
		return nil, nil, err
	}
	sum, err := digest(ctx, found.Root)
	if err != nil {
		return nil, nil, err
	}
	parent := filepath.Join(p.CacheDir, "rust")
	at := filepath.Join(parent, "locked-"+cargo.Brief(found.Root+"\x00"+sum))
	copied, there := *p, *found
	copied.Dir, there.Root, there.Unlocked = filepath.Join(at, within), at, false
	if _, err := os.Stat(filepath.Join(at, cargo.LockFile)); err == nil {
		return &copied, &there, nil
	}
	scratch, err := lang.NewScratch(parent, "unlocked-*")
	if err != nil {
		return nil, nil, err
	}
	err = copyWorkspace(ctx, found.Root, scratch.Dir)
	if err == nil {
		err = writeLock(ctx, tool, p, scratch.Dir)
	}
	if err == nil {
		// Another build of the same sources may have been quicker.
		if err = os.Rename(scratch.Dir, at); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	return &copied, &there, errors.Join(err, scratch.Close())
}

func writeLock(ctx context.Context, tool string, p *lang.Project, dir string) error {
	output, err := lang.Run(ctx, dir, p.Environ, tool, "generate-lockfile", "--quiet")
	if _, ran := errors.AsType[*exec.ExitError](err); ran {
		return fault.New(fault.Build, "build.rust", p.Label, "cargo cannot choose versions of the dependencies\n%s", strings.TrimRight(output, "\n"))
	}
	return err
}

// copyWorkspace copies what cargo compiles. Links become what they lead to.
func copyWorkspace(ctx context.Context, root, into string) error {
	return walkSources(ctx, root, func(at, rel string, info fs.FileInfo) error {
		copied := filepath.Join(into, rel)
		if info.IsDir() {
			return os.Mkdir(copied, 0o755)
		}
		_, err := copyFile(at, copied)
		return errors.Join(err, os.Chtimes(copied, info.ModTime(), info.ModTime()))
	})
}
