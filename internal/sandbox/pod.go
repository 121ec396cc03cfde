package sandbox

import "io"

// Start is a program to start in a Pod.
type Start struct {
	// Root or Overlay is its root file system, as in Call. Proc, dev and sys need not
	// be there.
	Root    string
	Overlay *Overlay

	Command        Command
	Groups         []uint32 // of the user, besides those of /etc/group
	ReadOnly       bool     // the root file system
	NoNewPrivilege bool     // set-uid programs do not work
	Processes      int      // how many may run at a time; 0 is a few thousand
	Memory         int64    // bytes that they may have in all; 0 is no limit

	Outside *Outside     // nil: nothing but the pod itself is reached
	Trouble func(string) // hears why Outside is not to be had, if so

	Out, Err io.Writer
}

// Exit is how a program of a Pod has ended.
type Exit struct {
	Code   int  // 128 + the signal for one that was killed
	Memory bool // it was killed because it had more memory than it may
	// Trouble is what was wrong with the sandbox itself, if anything.
	Trouble error
}
