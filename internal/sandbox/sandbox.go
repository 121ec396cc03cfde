// Package sandbox runs code on a root file system of its own: in new user,
// mount, pid, ipc, uts and cgroup namespaces, with neither the host's files nor
// its environment nor its users in sight. It needs no privilege beyond that of
// making a user namespace.
//
// Two things can run inside: a Guest, which is code of this program that works
// on the files (unpacking, copying, comparing), with no /proc and no network
// need; and a Command, which is a program of the root file system, with the
// capabilities, the devices and the limits that a container usually has.
//
// The program executes itself once more for that: main calls Inside before
// anything else.
//
// Errors are *fault.Error.
package sandbox

import (
	"encoding/json"
	"io"
	"io/fs"
)

// Guest is code that runs inside of a sandbox, as root of the root file system.
// in and out are Call.In and Call.Out; what it returns goes to Call.Reply.
type Guest func(args json.RawMessage, in io.Reader, out io.Writer) (reply any, err error)

// Options say where a Box keeps its files.
type Options struct {
	// Dir is the cache folder; a folder that is closed to others is made below it.
	// Where root's Dir can be changed by others, /var/tmp is taken instead.
	Dir string
	// Temp is where root wants the root file systems; "" is below Dir. A folder
	// that others can change, or from which programs cannot be run, is not used.
	Temp string
	// Path is where newuidmap is looked for, as $PATH has it.
	Path string
	// First is the lowest number of a box to take: who stays for long, and wants to
	// find its Home again, begins above those who come and go.
	First int
}

// Identity is who the sandbox's users are on the host.
type Identity string

// The identities, from the most to the least faithful.
const (
	// Shifted is for root: uid 0 inside is a high number outside that owns nothing.
	Shifted Identity = "shifted"
	// Ranges is for users with an entry in /etc/subuid: uid 0 inside is the user.
	Ranges Identity = "ranges"
	// Single is for users without one: there is uid 0 inside, and nobody else.
	Single Identity = "single"
)

// Overlay is a file system of folders on top of each other, all made by
// Box.Folder. What is changed goes into Upper.
type Overlay struct {
	Lower []string // the lowest first
	Upper string   // "" is read-only
	Work  string   // an empty folder beside Upper, for the kernel
	// Fresh is an Upper that has not been mounted yet: its own looks become those
	// of the highest of Lower.
	Fresh bool `json:",omitempty"`
}

// MaxLower is how many folders an Overlay may have below Upper.
const MaxLower = 120

// Call is one thing to do inside.
type Call struct {
	Root string // a folder that Box.Root has made; it becomes /

	// Overlay is instead of Root. With Apart, which only a Guest may have, its parts
	// are beside each other: /lower is what is below, /upper is the folder Upper as
	// the kernel writes it.
	Overlay *Overlay
	Apart   bool

	// Guest is the name of one of the functions that main gave to Inside, and
	// Args its arguments as JSON. Reply, a pointer, is filled with what it returned.
	Guest string
	Args  any
	Reply any

	// Then runs after Guest and sees the parts of Overlay as with Apart. Of the two,
	// Guest has In, and Then has Out. See Box.Chains.
	Then *Then

	// Command is instead of Guest, or runs after it: the Guest sees the files with
	// nothing mounted on them.
	Command *Command

	In       io.Reader
	Out, Err io.Writer
}

// Then is a second Guest with its arguments.
type Then struct {
	Guest string
	Args  any
	Reply any
}

// Command is a program to run inside.
type Command struct {
	Args   []string
	Env    []string // all of its environment
	Dir    string
	User   string // USER, USER:GROUP or numbers, looked up inside; "" is root
	Mounts []Mount
	// Isolated cuts it off from the network; otherwise it shares the host's.
	Isolated bool
}

// Mount is something at Target that is not part of the root file system. It is
// the folder Source or the file system Overlay, or a file with Content, or, with neither, an empty tmpfs.
type Mount struct {
	Target   string
	Source   string   // another folder that Box.Root or Box.Folder has made
	Overlay  *Overlay `json:",omitempty"` // instead of Source: its Lower
	Sub      string   // what of Source: an absolute path, whose links are followed below Source
	File     bool     // Sub is a file
	Content  []byte
	ReadOnly bool
	Mode     fs.FileMode // of Content or of the tmpfs
	UID, GID int
	Size     int64 // of the tmpfs, in bytes; 0 is the kernel's default
}
