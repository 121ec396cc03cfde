// Package pod is the contract between the kubelet, which makes pods true, and
// whatever runs their containers.
package pod

import (
	"context"
	"io"
	"net"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// Runtime starts groups of containers on this machine.
type Runtime interface {
	// Pull makes an image ready to run and says what it is. ref has a digest, or is
	// resolved once more. secrets are pull secrets (.dockerconfigjson contents).
	Pull(ctx context.Context, ref string, secrets [][]byte) (Image, error)
	// Sandbox makes what the containers of one pod share: a network of their own and
	// a host name. id names it for people (NAMESPACE/NAME) and need not be unique.
	Sandbox(ctx context.Context, id, hostname string) (Sandbox, error)
}

// Image is an image that is ready to run.
type Image struct {
	Ref        string // with its digest
	Entrypoint []string
	Cmd        []string
	Env        []string
	Dir        string
	User       string
	StopSignal syscall.Signal // SIGTERM unless the image says otherwise
}

// Sandbox is where the containers of a pod run.
type Sandbox interface {
	// Volume makes an empty folder of the host for a volume, and returns its path.
	// It is gone after Close. Containers may write to it.
	Volume(name string) (string, error)
	// Own gives what is in a volume to the root of the containers, so that modes
	// such as 0400 mean there what they mean on a cluster. It is called after each
	// change that the kubelet makes. group is the pod's fsGroup, -1 for none.
	Own(ctx context.Context, dir string, group int64) error
	// Start starts a container. It is running when Start returns; it may be over an
	// instant later. ctx ends the start, not the container.
	Start(ctx context.Context, c Container) (Process, error)
	// Dial connects to a TCP port of the containers' loopback address.
	Dial(ctx context.Context, port int32) (net.Conn, error)
	// Port is the value of PORT for the container that wants to listen on want:
	// want itself where each pod has a network of its own.
	Port(want int32) int32
	// Close kills what still runs and removes everything.
	Close(ctx context.Context) error
}

// Container is one program with its surroundings.
type Container struct {
	Name           string
	Image          Image
	Args           []string // the whole command line
	Env            []string // the whole environment
	Dir            string
	User           string // USER, USER:GROUP or numbers; "" is root
	Groups         []int64
	Mounts         []Mount
	Limits         corev1.ResourceList // cpu and memory
	ReadOnly       bool                // the root file system
	NoNewPrivilege bool                // set-uid programs do not work
	Stdout, Stderr io.Writer
}

// Mount is a volume at a place in the container.
type Mount struct {
	Target   string
	Source   string // a folder that Volume has made
	SubPath  string // a folder or a file in it; a folder is made where there is none
	ReadOnly bool
}

// Process is a container that was started.
type Process interface {
	// Done is closed when it, and everything that it has started, is gone.
	Done() <-chan struct{}
	// Exit is how it ended, once Done is closed: the exit code (128 + the signal for
	// a killed one) and whether memory ran out.
	Exit() (code int, outOfMemory bool)
	Signal(signal syscall.Signal) error
	// Exec runs another program in the container and waits for it: exec probes.
	// out, if any, gets what it says.
	Exec(ctx context.Context, args []string, out io.Writer) (code int, err error)
}
