// Package rootfs works on the files of an image while it is built: it unpacks
// layers, puts files in, takes files out and finds what has changed. All of it
// runs inside of a sandbox whose root is the image's, so that no link and no
// name in an archive can mean a file of the host.
//
// Streams of files are tar archives.
package rootfs

import (
	"io/fs"
	"strings"
	"time"
)

// The names of the guests, for sandbox.Call.
const (
	GuestUnpack  = "rootfs.unpack"  // UnpackArgs, in: a layer → []string, owners that nobody is
	GuestPut     = "rootfs.put"     // PutArgs, in: files → []string, owners that nobody is
	GuestTake    = "rootfs.take"    // TakeArgs, out: files
	GuestMatch   = "rootfs.match"   // MatchArgs → []Source
	GuestPrepare = "rootfs.prepare" // PrepareArgs → Prepared
	GuestScan    = "rootfs.scan"    // ScanArgs → State
	GuestDiff    = "rootfs.diff"    // DiffArgs, in: State as JSON, out: a layer → State
)

// GuestChanges is for an overlay whose parts are beside each other, see
// sandbox.Call: ChangesArgs, out: a layer → ChangesReply.
const GuestChanges = "rootfs.changes"

// ChangesArgs is for GuestChanges.
type ChangesArgs struct {
	// Remove are mount points that are not to stay, innermost first. What is not
	// empty stays.
	Remove     []string
	Epoch      time.Time // later times are told as this one
	Count      bool      // no layer is wanted
	SingleUser bool
}

// ChangesReply says how much has changed.
type ChangesReply struct {
	Entries int   // that differ
	Bytes   int64 // on the disk
}

// ownerAttribute keeps the owner of a file where the sandbox has one user only.
const ownerAttribute = "user.kn-lite.owner"

// UnpackArgs is for a layer, or for an archive that ADD unpacks.
type UnpackArgs struct {
	Dest  string // "/" for a layer
	Layer bool   // names that begin with .wh. delete
	// SingleUser keeps owners in attributes, where there is one user only.
	SingleUser bool
	Owner      string // USER[:GROUP] of everything; "" keeps the archive's
	Top        bool   // Dest gets owner and mode of the archive's ./
	// Limit is how many bytes the files may have in all, holes included.
	Limit int64
}

// PutArgs is for COPY. The archive's names are relative to the destination.
type PutArgs struct {
	Dest string // absolute
	// Single is a source that is one file: Dest is its name, unless it is a folder.
	Single     bool
	Owner      string // USER[:GROUP] of everything; "" keeps the archive's
	Mode       string // for ParseMode: of everything but links; "" keeps the archive's
	SingleUser bool
}

// MatchArgs is for the sources of COPY --from.
type MatchArgs struct {
	Patterns []string
}

// Source is a file or a folder that a pattern matches.
type Source struct {
	Path string
	Dir  bool
}

// TakeArgs says what to take: of a folder, what is below it.
type TakeArgs struct {
	Sources    []Source
	Exclude    []string // patterns of a .dockerignore, relative to the source
	SingleUser bool
}

// PrepareArgs names what programs need to be there, or to be mounted on.
type PrepareArgs struct {
	// Work is a folder that a program starts in: it is made first, for WorkOwner, and
	// is none of those that are told of.
	Work, WorkOwner string

	Dirs, Files []string
	Mode        fs.FileMode // of new folders; 0 is 0755
	Owner       string
	SingleUser  bool
}

// Prepared is what Prepare has done.
type Prepared struct {
	Made    []string // what was not there before, innermost first
	Unknown []string // owners that nobody is
}

// ScanArgs is for Scan.
type ScanArgs struct {
	Epoch      time.Time // as in DiffArgs
	SingleUser bool
}

// DiffArgs is for Diff.
type DiffArgs struct {
	// Remove are mount points that are not to stay, innermost first. What is not
	// empty stays.
	Remove     []string
	Epoch      time.Time // later times are told as this one
	SingleUser bool
}

// State says for each path what a layer tells about it.
type State map[string]Mark

// Mark is what a layer tells about a file.
type Mark struct {
	Looks   string // owner, mode, time …
	Content string // digest
	// Stamp changes with the content: the kernel keeps the change time, and no
	// program can change a file and hide it.
	Stamp string
}

// BeforeWildcard returns the folder that a pattern's first wildcard is in: it has
// to be there, whatever the wildcard finds. It is "" for the topmost one.
func BeforeWildcard(pattern string) string {
	at := strings.IndexAny(pattern, "*?[")
	if at < 0 {
		return pattern
	}
	return pattern[:max(strings.LastIndex(pattern[:at], "/"), 0)]
}
