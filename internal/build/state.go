package build

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

const (
	// stateFolder is where a build without --push and --output leaves its image,
	// below the project.
	stateFolder = source.StateFolder
	// stateLayout is the image in it.
	stateLayout = "build"
)

// openState opens the state folder of the project in dir, and makes it if create
// is set. The project is often somebody else's clone: a link in place of the
// folder would have us write and delete wherever it leads, so it is refused.
func openState(dir string, create bool) (*os.Root, error) {
	project, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer project.Close()
	if create {
		if err := project.Mkdir(stateFolder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return openFolder(project, stateFolder, dir)
}

// CheckState returns an error if the image of a build could not be left in the
// project's folder, as SaveLayout does.
func CheckState(dir string) error {
	state, err := openState(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return state.Close()
}

// openFolder opens the folder name below root, which is at dir.
func openFolder(root *os.Root, name, dir string) (*os.Root, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		at := filepath.Join(dir, name)
		return nil, fault.New(fault.Usage, "build.state", at, "it is a %s, and build results go into a folder of the project only", regular.TypeName(info.Mode())).
			WithHint("remove it: rm %s", at)
	}
	below, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	now, err := below.Stat(".")
	if err == nil && !os.SameFile(info, now) {
		err = fault.New(fault.Conflict, "build.state", filepath.Join(dir, name), "another file has taken its place")
	}
	if err != nil {
		return nil, errors.Join(err, below.Close())
	}
	return below, nil
}

// ignoreState keeps the state folder out of version control: build results are
// nobody's source code.
func ignoreState(state *os.Root) error {
	const name, content = ".gitignore", "*\n"
	if info, err := state.Lstat(name); err == nil && info.Mode().IsRegular() {
		return nil
	}
	temp, err := makeTemp(state)
	if err != nil {
		return err
	}
	made := path.Join(temp, name)
	err = state.WriteFile(made, []byte(content), 0o644)
	if err == nil {
		err = state.Rename(made, name) // a link is replaced, not followed
	}
	return errors.Join(err, state.RemoveAll(temp))
}

// makeTemp makes a folder of a new name below root.
func makeTemp(root *os.Root) (string, error) {
	sweep(root, time.Now())
	for {
		name := fmt.Sprintf("%s%08x", source.UnfinishedPrefix, rand.Uint32())
		if err := root.Mkdir(name, 0o755); !errors.Is(err, fs.ErrExist) {
			return name, err
		}
	}
}

// abandonedAfter is when what is still being written belongs to a build that was
// killed.
const abandonedAfter = 24 * time.Hour

// unfinished is the name of a folder of makeTemp, or of a file of os.CreateTemp.
var unfinished = regexp.MustCompile("^" + regexp.QuoteMeta(source.UnfinishedPrefix) + "[0-9a-f]{6,16}$")

// sweep removes what builds that were killed have left below root. Errors are not
// reported: what stays behind costs space only, and the next build tries again.
func sweep(root *os.Root, now time.Time) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); unfinished.MatchString(e.Name()) && err == nil && now.Sub(info.ModTime()) > abandonedAfter {
			_ = root.RemoveAll(e.Name())
		}
	}
}
